"""A Ctrl-C that an audit must not lose."""

import sys
from pathlib import Path
from types import FrameType

import pytest

from tests.audit.conftest import Subject
from tests.audit.test_resume import run, stop_after


def test_no_ctrl_c_is_lost_in_the_text_of_an_array(subject: Subject, tmp_path: Path) -> None:
    # Interrupted in the text of an array without dimensions, NumPy drops the interrupt, and says
    # "..." of every such array from then on, which would be taken for what an attack raised.
    entered: set[str] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.endswith("arrayprint.py"):
            entered.add(str(frame.f_back))

    with pytest.raises(KeyboardInterrupt):
        run(subject, tmp_path, progress=stop_after(4))
    sys.setprofile(note)
    try:
        run(subject, tmp_path)
    finally:
        sys.setprofile(None)
    assert not {caller for caller in entered if "saddlepoint" in caller}
