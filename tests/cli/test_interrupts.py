"""Ctrl-C is said to be one, wherever it falls."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest
import typer

from saddlepoint.cli import main as entry
from saddlepoint.cli.errors import readable, say
from saddlepoint.core.interrupts import interrupts, is_told, told
from saddlepoint.train.progress import untold
from tests.disguised import disguised

GOES_ON = "the same command continues"


def interrupt(*_: object, **__: object) -> NoReturn:
    raise KeyboardInterrupt


def in_a_compiled_module(_: Path) -> None:
    raise disguised()


def while_an_archive_is_written(_: Path) -> None:
    try:
        interrupt()
    finally:  # as zipfile does where a member is still open
        raise ValueError("Can't close the ZIP file while there is an open writing handle on it")


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


@pytest.mark.parametrize("call", ["make_context", "invoke", "get_command"])
def test_before_a_command_begins(
    call: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["saddlepoint", "recipes"])
    where = typer.main if call == "get_command" else typer.core.TyperGroup
    monkeypatch.setattr(where, call, interrupt)
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
    stop = KeyboardInterrupt()
    told(stop, "after epoch 3")
    assert say(stop).exit_code == 130
    # A codec that is interrupted words the interrupt.
    assert say(KeyboardInterrupt("decoding failed")).exit_code == 130
    assert capsys.readouterr().err.count(GOES_ON) == 1
    with pytest.raises(KeyboardInterrupt) as end, untold():
        raise stop
    assert not is_told(end.value)


def test_what_came_of_it_is_raised_as_one_and_the_rest_as_it_is() -> None:
    with pytest.raises(KeyboardInterrupt), interrupts():
        raise disguised()
    with pytest.raises(ImportError, match="no such module"), interrupts():
        raise ImportError("no such module")


@pytest.mark.parametrize("said", [False, True])
def test_a_process_that_nobody_catches_it_in_ends_by_the_signal(said: bool) -> None:
    code = f"""
from saddlepoint.core.interrupts import told
stop = KeyboardInterrupt()
if {said}: told(stop, "after epoch 3")
raise stop
"""
    end = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert end.returncode == -signal.SIGINT
