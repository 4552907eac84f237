"""What ``doctor`` says of this machine."""

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from saddlepoint.cli import doctor
from saddlepoint.cli.main import app

ROOT = Path(__file__).parents[2]


def test_it_names_versions_devices_and_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SADDLEPOINT_DATA", "/no/such/folder")
    found = CliRunner().invoke(app, ["doctor"])
    assert found.exit_code == 0
    text = " ".join(found.stdout.split())
    for said in ("torch", "threads", "/no/such/folder, which is no folder", "cache", "onnx: there"):
        assert said in text


def test_a_missing_extra_comes_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda n, *a: None if n == "kornia" else real(n, *a)
    )
    assert doctor.extras_of()["environment"][0] == ["kornia"]
    assert "saddlepoint[environment]" in CliRunner().invoke(app, ["doctor"]).stdout


def test_every_extra_for_users_is_known() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    declared = {
        name: {re.split(r"[\[<>=]", package)[0] for package in packages}
        for name, packages in extras.items()
        if name != "dev"  # for a clone, which says so in CONTRIBUTING
    }
    assert declared == {name: set(packages) for name, (packages, _) in doctor.EXTRAS.items()}


def test_each_extra_is_said_to_be_there_or_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for found, said in ((None, "pip install 'saddlepoint[{}]' adds"), (object(), "{}: there")):
        monkeypatch.setattr(importlib.util, "find_spec", lambda *_, found=found: found)
        text = CliRunner().invoke(app, ["doctor"]).stdout
        for name in doctor.EXTRAS:
            assert said.format(name) in text
