"""Nothing here can run without the extra ``http``."""

from importlib.util import find_spec
from pathlib import Path

import pytest

if not (find_spec("httpx") and find_spec("jmespath")):
    collect_ignore_glob = ["*.py"]


@pytest.fixture(autouse=True)
def _no_proxy_and_no_certificates(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Loopback is reached directly, and reading all certificates takes longer than a test."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
