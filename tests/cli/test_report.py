"""The verb ``report``: it writes, says where, and shows the page where there is a browser."""

import webbrowser
from pathlib import Path

import pytest

from tests.audit.test_report_runs import Fake, make_run
from tests.cli.kit import run, said


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("report") / "run", Fake(gallery=0, figures=False))


def _refuse(_url: str) -> bool:
    raise webbrowser.Error("no display")


@pytest.mark.parametrize("answer", [lambda _url: False, _refuse])
def test_no_browser_is_no_error(
    answer: object, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webbrowser, "open", answer)
    result = run("report", folder, "--open")
    assert "report.html" in result.output
    assert "open the file by hand" in said(result)


def test_a_browser_gets_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: shown.append(url) is None)
    assert "by hand" not in run("report", folder).output
    assert shown == []
    result = run("report", folder, "--open")
    assert shown == [(folder / "report.html").resolve().as_uri()]
    assert "report.html" in result.output
    assert "by hand" not in result.output
