"""A Ctrl-C that an audit must not lose."""

import sys
from pathlib import Path
from types import FrameType

import pytest

import saddlepoint as sp
from saddlepoint.audit import inspection
from saddlepoint.audit.probing import PROBES
from tests.audit.conftest import Subject
from tests.audit.test_resume import run, stop_after
from tests.disguised import disguise, disguised


def test_no_ctrl_c_is_lost_in_the_text_of_an_array(subject: Subject, tmp_path: Path) -> None:
    # Interrupted in the text of an array without dimensions, NumPy drops the interrupt, and says
    # "..." of every such array from then on, which would be taken for what an attack raised.
    ours, callers = str(Path(sp.__file__).parent), set()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_back and frame.f_code.co_filename.endswith("arrayprint.py"):
            callers.add(frame.f_back.f_code.co_filename)

    with pytest.raises(KeyboardInterrupt):
        run(subject, tmp_path, progress=stop_after(4))
    sys.setprofile(note)
    try:
        run(subject, tmp_path)
    finally:
        sys.setprofile(None)
    assert not [caller for caller in callers if caller.startswith(ours)]


def test_an_attack_that_raises_what_came_of_it_is_not_noted_as_failed(subject: Subject) -> None:
    class Loading(sp.PGD):
        def __call__(self, *_: object) -> None:
            raise disguised()

    with pytest.raises(KeyboardInterrupt):
        sp.audit(subject.model, (subject.x, subject.y), sp.Linf(eps=0.05), (Loading(),), probes=0)


@pytest.mark.parametrize("where", ["health checks", "gradients"])
def test_nor_is_what_follows_skipped(
    where: str, subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if where == "gradients":
        monkeypatch.setattr(inspection, "loss_gradient", disguise)
    else:
        monkeypatch.setitem(PROBES, next(iter(PROBES)), disguise)
    with pytest.raises(KeyboardInterrupt):
        run(subject, tmp_path, probes=4)
