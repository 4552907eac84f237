"""A folder takes one run at a time."""

import subprocess
import sys
from pathlib import Path

import pytest

from saddlepoint.core.errors import Invalid
from saddlepoint.core.lock import alone
from saddlepoint.train import Epoch, train
from saddlepoint.train.checkpoint import Folder
from saddlepoint.train.samples import Samples
from tests.train.kit import Digits, MakeNet, MakePlan

HOLD = """
import sys, time
from pathlib import Path
from saddlepoint.core.lock import alone
with alone(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_folder_in_use_is_refused_until_its_process_is_gone(
    plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path
) -> None:
    x, y, *_ = digits
    pytest.importorskip("fcntl")
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(Invalid, match="no other process is using"):
            train(plan(epochs=1), net(), x, y, tmp_path, progress=False)
        other.kill()
    assert train(plan(epochs=1), net(), x, y, tmp_path, progress=False).best_epoch == 1


def test_a_folder_that_went_on_since_it_was_read_is_not_settled(
    plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path
) -> None:
    x, y, *_ = digits

    def stop(row: Epoch) -> None:
        raise KeyboardInterrupt

    folder = Folder(tmp_path, plan(), Samples.of(plan(), x, y).sha256)
    before = folder.open()
    with pytest.raises(KeyboardInterrupt):
        train(plan(), net(), x, y, tmp_path, progress=False, on_epoch=stop)
    folder.newer.write_bytes(b"the other process is about to record these")
    with pytest.raises(Invalid, match="another process went on"), folder.claimed(before):
        pass
    assert folder.newer.exists()
    with folder.claimed(folder.open()):
        assert not folder.newer.exists()


def test_the_folder_is_free_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), alone(tmp_path):
        raise ZeroDivisionError
    with alone(tmp_path):
        assert list(tmp_path.iterdir()) == []
