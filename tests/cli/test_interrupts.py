"""Ctrl-C is said to be one, wherever it falls."""

import sys
import zipfile
from pathlib import Path
from typing import Any, NoReturn

import pytest
import typer

from saddlepoint.cli import main as entry
from saddlepoint.cli.errors import readable, say
from saddlepoint.core.errors import Stopped
from saddlepoint.train.progress import untold

GOES_ON = "the same command continues"


def interrupt(*_: object, **__: object) -> NoReturn:
    raise KeyboardInterrupt


def in_a_compiled_module(_: Path) -> None:
    try:
        interrupt()
    except KeyboardInterrupt as stop:
        raise ImportError("initialization failed") from stop


def while_an_archive_is_written(folder: Path) -> None:
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.open("a.npy", "w").write(b"1")  # stays open
        interrupt()


def elsewhere(_: Path) -> None:
    interrupt()


@pytest.mark.parametrize("where", [in_a_compiled_module, while_an_archive_is_written, elsewhere])
def test_an_error_that_came_of_ctrl_c_is_a_ctrl_c(
    where: Any,  # noqa: ANN401
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(typer.Exit) as end:
        readable(where)(tmp_path)
    assert end.value.exit_code == 130
    assert GOES_ON in capsys.readouterr().err


@pytest.mark.parametrize("call", ["make_context", "invoke"])
def test_before_a_command_begins(
    call: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["saddlepoint", "recipes"])
    monkeypatch.setattr(typer.core.TyperGroup, call, interrupt)
    with pytest.raises(SystemExit) as end:
        entry.main()
    assert end.value.code == 130
    assert GOES_ON in capsys.readouterr().err


def test_it_is_said_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["saddlepoint", "recipes"])
    monkeypatch.setattr(typer.core.TyperGroup, "invoke", readable(interrupt))
    with pytest.raises(SystemExit) as end:
        entry.main()
    assert end.value.code == 130
    assert capsys.readouterr().err.count(GOES_ON) == 1


def test_an_error_that_was_raised_from_itself_is_itself() -> None:
    error = ValueError("odd")
    error.__cause__ = error
    assert say(error).exit_code == 3


def test_it_is_not_said_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert say(Stopped("after epoch 3")).exit_code == 130
    # A codec that is interrupted words the interrupt.
    assert say(KeyboardInterrupt("decoding failed")).exit_code == 130
    assert capsys.readouterr().err.count(GOES_ON) == 1
    with pytest.raises(KeyboardInterrupt) as stop, untold():
        raise Stopped("after epoch 3")
    assert not isinstance(stop.value, Stopped)
