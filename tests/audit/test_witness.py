"""The independent checker, and replay."""

import copy
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

import saddlepoint as sp
from saddlepoint.audit.replay import Witnesses, replay
from saddlepoint.audit.samples import Pair
from saddlepoint.audit.universal_replay import Claimed
from saddlepoint.audit.witness import inspect
from saddlepoint.core.errors import BadData
from tests.audit.conftest import Subject

X = np.full((1, 4), 0.5, dtype=np.float32)
ROW = np.array([0])


def moved(*steps: float) -> np.ndarray:
    return X + np.array([steps], dtype=np.float32)


@pytest.mark.parametrize(
    ("threat", "x_adv", "fault"),
    [
        (sp.Linf(0.1), moved(0.1, -0.1, 0.1, 0), ""),
        (sp.Linf(0.1), moved(0.1001, 0, 0, 0), "Linf distance"),
        (sp.L2(0.2), moved(0.1, 0.1, 0.1, 0.1), ""),
        (sp.L2(0.2), moved(0.1, 0.1, 0.1, 0.101), "L2 distance"),
        (sp.L1(0.4), moved(0.1, 0.1, 0.1, 0.1), ""),
        (sp.L1(0.4), moved(0.1, 0.1, 0.1, 0.101), "L1 distance"),
        (sp.L0(2), moved(0.5, 0, -0.5, 0), ""),
        (sp.L0(2), moved(0.5, 1e-6, -0.5, 0), "L0 distance 3 exceeds 2"),
        (sp.L0(0), moved(0, 0, 0, 0), ""),
        (sp.L0(2), moved(0.5, 2.0**-25, -0.5, 0), ""),
        (sp.L0(2), moved(0.6, 0, 0, 0), "leave [0, 1]"),
        (sp.L2(0.9), moved(0.6, 0, 0, 0), "leave [0, 1]"),
        (sp.Linf(0.2, box=(0.4, 0.6)), moved(-0.2, 0, 0, 0), "leave [0.4, 0.6]"),
        (sp.Linf(0.1), moved(float("nan"), 0, 0, 0), "not finite"),
        (sp.Linf(0.1), moved(float("inf"), 0, 0, 0), "not finite"),
        (sp.Linf(0.1), np.zeros((1, 5), dtype=np.float32), "shape"),
        (sp.Linf(0.1), np.zeros((1, 4), dtype=np.int64), "dtype"),
        (sp.Quantize(sp.Linf(0.1)), moved(0.05, 0, 0, 0), "8-bit levels"),
        (sp.Linf(eps=torch.tensor([0.1, 0.3])), moved(0.2, 0, 0, 0), "exceeds 0.1"),
    ],
)
def test_checker(threat: object, x_adv: np.ndarray, fault: str) -> None:
    (said,) = inspect(X, x_adv, threat, ROW)
    assert (fault in said) if fault else said == ""


def test_radius_belongs_to_the_row() -> None:
    threat = sp.Linf(eps=torch.tensor([0.1, 0.3]))
    assert inspect(X, moved(0.2, 0, 0, 0), threat, np.array([1])) == [""]


def test_eight_bit_witness_is_read_as_an_image() -> None:
    x = np.full((1, 4), 100 / 255, dtype=np.float32)
    good, bad = np.full((1, 4), 108, np.uint8), np.full((1, 4), 109, np.uint8)
    threat = sp.Quantize(sp.Linf(8 / 255))
    assert inspect(x, good, threat, ROW) == [""]
    assert "exceeds" in inspect(x, bad, threat, ROW)[0]


@pytest.fixture
def finished(subject: Subject, tmp_path: Path) -> Path:
    attacks = (sp.PGD(steps=5),)
    sp.audit(subject.model, (subject.x, subject.y), sp.Linf(0.05), attacks, out=tmp_path, figures=0)
    return tmp_path


def test_replay_accepts_what_was_written(subject: Subject, finished: Path) -> None:
    run = Witnesses.load(finished)
    result = replay(run, subject.model, Pair(subject.x, subject.y), sp.Linf(0.05))
    assert result.holds
    assert result.same_model
    assert result.checked == run.document["counts"]["broken"] > 3


def test_replay_refuses_a_witness_that_moved_too_far(subject: Subject, finished: Path) -> None:
    path = finished / "witnesses.safetensors"
    tensors = load_file(path)
    tensors["x_adv"][2].flat[5] = min(1.0, tensors["x_adv"][2].flat[5] + 0.2)
    save_file(tensors, path)
    result = replay(
        Witnesses.load(finished), subject.model, Pair(subject.x, subject.y), sp.Linf(0.05)
    )
    row = int(tensors["index"][2])
    assert list(result.failed) == [row]
    assert "exceeds" in result.failed[row]


def test_replay_refuses_an_input_that_does_not_fool(subject: Subject, finished: Path) -> None:
    path = finished / "witnesses.safetensors"
    tensors = load_file(path)
    right = subject.model(subject.x).argmax(1) == subject.y
    k = next(i for i, row in enumerate(tensors["index"]) if right[row])
    tensors["x_adv"][k] = subject.x[tensors["index"][k]].numpy()
    save_file(tensors, path)
    result = replay(
        Witnesses.load(finished), subject.model, Pair(subject.x, subject.y), sp.Linf(0.05)
    )
    assert "the model is right about it" in result.failed[int(tensors["index"][k])]


def test_replay_knows_another_model(subject: Subject, finished: Path) -> None:
    other = copy.deepcopy(subject.model)
    with torch.no_grad():
        other[1].bias += torch.arange(10) * 0.01
    samples = Pair(subject.x, subject.y)
    assert not replay(Witnesses.load(finished), other, samples, sp.Linf(0.05)).same_model


def test_replay_wants_the_same_samples(subject: Subject, finished: Path) -> None:
    samples = Pair(subject.x.flip(0), subject.y.flip(0))
    with pytest.raises(BadData, match="not the samples of the run"):
        replay(Witnesses.load(finished), subject.model, samples, sp.Linf(0.05))


@pytest.mark.parametrize("damage", ["missing", "torn", "json", "index", "keys", "fewer"])
def test_damaged_runs(finished: Path, damage: str) -> None:
    path = finished / "witnesses.safetensors"
    if damage == "missing":
        path.unlink()
    elif damage == "torn":
        path.write_bytes(path.read_bytes()[:50])
    elif damage == "json":
        (finished / "audit.json").write_text("{")
    elif damage == "index":
        save_file({"x_adv": np.zeros((1, 1, 8, 8)), "index": np.array([999])}, path)
    elif damage == "fewer":
        save_file({k: v[:2] for k, v in load_file(path).items()}, path)
    else:
        (finished / "audit.json").write_text(json.dumps({"n": 3}))
    with pytest.raises(BadData):
        Witnesses.load(finished)


@pytest.mark.parametrize("load", [Witnesses.load, Claimed.load])
def test_json_without_end_is_no_readable_run(
    load: Callable[[Path], object], tmp_path: Path
) -> None:
    for name in ("audit.json", "universal.json"):
        (tmp_path / name).write_text("[" * 100_000)
    with pytest.raises(BadData, match="no readable run"):
        load(tmp_path)
