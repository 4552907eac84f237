"""Custom parts of a plan are named alike in every process, and apart from each other."""

import functools
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from saddlepoint.train.naming import name_of


class Half:
    def __init__(self, share: float) -> None:
        self.share = share


def test_names_hold_no_address_and_tell_parts_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = (
        "import functools; from saddlepoint.train.naming import name_of\n"
        "class Half: pass\n"
        "h = Half(); h.share = 0.5\n"
        "print(name_of(lambda x: x + 1), name_of(functools.partial(max, key=abs)), name_of(h))"
    )
    (tmp_path / "parts.py").write_text(code)
    words = [sys.executable, str(tmp_path / "parts.py")]
    there = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    runpy.run_path(words[1], run_name="__main__")
    assert there == capsys.readouterr().out
    assert "0x" not in there
    assert name_of(lambda x: x + 1) != name_of(lambda x: x + 2)
    assert name_of(functools.partial(max, 1)) != name_of(functools.partial(max, 2))
    assert name_of(Half(0.5)) != name_of(Half(0.25))
    assert name_of(Half(0.5)) == name_of(Half(0.5))
