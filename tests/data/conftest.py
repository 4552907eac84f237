"""A private cache for every test, so that no test sees or touches the user's data."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("SADDLEPOINT_DATA", raising=False)
    return tmp_path / "cache" / "saddlepoint"
