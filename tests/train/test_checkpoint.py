"""What lies in the folder, and that no accident leaves half of it."""

import csv
import errno
import hashlib
import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from saddlepoint.core.errors import Invalid
from saddlepoint.core.files import write_bytes
from saddlepoint.models import load_model
from saddlepoint.models.small import mlp
from saddlepoint.train import Epoch, Trained, TrainPlan, train
from saddlepoint.train.checkpoint import Folder, State
from saddlepoint.train.device import hardware
from tests.train.kit import Digits, MakeNet, MakePlan


@pytest.fixture
def done(plan: MakePlan, digits: Digits, tmp_path: Path) -> tuple[Trained, TrainPlan]:
    x, y, *_ = digits
    p = plan(epochs=2, options={"hidden": [16]})
    return train(
        p,
        mlp(shape=(1, 8, 8), classes=10, hidden=(16,)),
        x,
        y,
        tmp_path,
        progress=False,
        data_sha256="ab12",
    ), p


def test_the_card_says_what_the_weights_are(done: tuple[Trained, TrainPlan]) -> None:
    trained, p = done
    card = json.loads((trained.folder / "model.json").read_text())
    assert (card["arch"], card["shape"], card["classes"]) == ("mlp", [1, 8, 8], 10)
    weights = (trained.folder / "model.safetensors").read_bytes()
    assert card["sha256"] == hashlib.sha256(weights).hexdigest()
    assert card["plan"] == json.loads(json.dumps(p.describe()))
    assert (card["plan_sha256"], card["data_sha256"]) == (p.key(), "ab12")
    assert (card["status"], card["best_epoch"]) == ("complete", trained.best_epoch)
    names = {"epoch", "loss", "clean", "robust", "own", "lr", "seconds", "certified"}
    assert card["history"][0].keys() == names
    assert card["events"] == []
    assert card["versions"]["saddlepoint"]
    with (trained.folder / "history.csv").open() as stream:
        assert [float(r["loss"]) for r in csv.DictReader(stream)] == [
            e.loss for e in trained.history
        ]


def test_a_folder_records_how_many_samples_were_measured(plan: MakePlan, tmp_path: Path) -> None:
    counts = {"held_out": 130, "attacked": 100}
    for name, measured in (("said", counts), ("unsaid", None)):
        folder = Folder(tmp_path / name, plan(), "ab12", measured=measured)
        with folder.claimed(State()):
            assert json.loads(folder.card.read_text())["measured"] == measured


def test_hardware_names_a_gpu_only_where_training_ran_on_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index=None: f"GPU {index or 0}")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setenv("WORLD_SIZE", "2")
    seen = {device: hardware(device) for device in ("cpu", "auto", "cuda:1")}
    assert [seen[d]["device"] for d in seen] == ["cpu", "cuda", "cuda"]
    assert [seen[d]["gpu"] for d in seen] == [None, "GPU 0", "GPU 1"]
    assert seen["cpu"]["processes"] == 2
    with pytest.raises(Invalid, match="device = 'cuda:7'"):
        hardware("cuda:7")


def test_the_loader_of_models_reads_the_folder(
    done: tuple[Trained, TrainPlan], digits: Digits
) -> None:
    trained, _ = done
    loaded = load_model(trained.folder)
    x = digits[2][:8]
    assert loaded.model(x).equal(trained.model(x))


def test_a_full_disk_says_so_and_keeps_the_earlier_checkpoint(
    plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y, *_ = digits
    straight = train(plan(), net(), x, y, tmp_path / "a", progress=False)
    out, fsync, full = tmp_path / "b", os.fsync, []

    def check(fd: int) -> None:
        if full:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(fd)

    monkeypatch.setattr(os, "fsync", check)
    saved = {}

    def fill(row: Epoch) -> None:
        if row.epoch == 2:
            saved.update({f.name: f.read_bytes() for f in out.iterdir()})
            full.append(True)

    with pytest.raises(OSError, match=r"disk is full.*finished before is kept") as caught:
        train(plan(), net(), x, y, out, progress=False, on_epoch=fill)
    assert caught.value.errno == errno.ENOSPC
    assert {f.name: f.read_bytes() for f in out.iterdir()} == saved
    load_file(out / "model.safetensors")
    monkeypatch.undo()
    resumed = train(plan(), net(), x, y, out, progress=False)
    assert [e.loss for e in resumed.history] == [e.loss for e in straight.history]


def test_ctrl_c_while_writing_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f"
    write_bytes(path, b"old")

    def stopped(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", stopped)
    with pytest.raises(KeyboardInterrupt):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert [f.name for f in tmp_path.iterdir()] == ["f"]
