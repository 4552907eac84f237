"""Loaders: read once, audited by row, and refused in words."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

import saddlepoint as sp
from saddlepoint.audit.samples import Pair
from saddlepoint.audit.spool import spool
from saddlepoint.core.errors import BadData, Invalid
from tests.audit.conftest import Subject
from tests.audit.test_resume import ATTACKS, THREAT, run, stop_after

Batch = tuple[Any, Any]
Loader = Iterator[Batch]


def batches(x: torch.Tensor, y: torch.Tensor, size: int = 7) -> Loader:
    return ((x[i : i + size], y[i : i + size]) for i in range(0, len(x), size))


def audit(s: Subject, loader: Any, **more: Any) -> sp.Audit:  # noqa: ANN401
    options: dict[str, Any] = {"batch_size": 16, "figures": 0, "probes": 0, **more}
    return sp.audit(s.model, loader, THREAT, ATTACKS, **options)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64, torch.float16])
def test_the_same_data_has_the_same_hash(dtype: torch.dtype, tmp_path: Path) -> None:
    x, y = (torch.rand(30, 3, 4, 2) * 255).to(dtype), torch.arange(30) % 4
    kept = x if dtype == torch.uint8 else x.float()
    pair, read = Pair(kept, y), spool(batches(x, y.to(torch.int32)), None, tmp_path)
    assert [read.sha256(n) for n in (30, 11)] == [pair.sha256(n) for n in (30, 11)]
    rows = torch.tensor([29, 0, 0, 13])
    for a, b in zip(read.batch(rows), pair.batch(rows), strict=True):
        assert a.dtype == b.dtype
        assert torch.equal(a, b)
    assert not list(tmp_path.iterdir())
    read.close()


def test_a_loader_leaves_what_its_tensors_leave(subject: Subject, tmp_path: Path) -> None:
    run(subject, tmp_path / "pair", figures=0)
    loader: Any = DataLoader(TensorDataset(subject.x, subject.y), batch_size=9)
    done = audit(subject, loader, out=tmp_path / "loader")
    for name in ("evidence.npz", "witnesses.safetensors", "samples.npz"):
        there, here = tmp_path / "pair" / name, tmp_path / "loader" / name
        assert there.read_bytes() == here.read_bytes(), name
    assert done.document["data_sha256"] == Pair(subject.x, subject.y).sha256(60)
    assert {p.name for p in (tmp_path / "loader").iterdir()} == {
        p.name for p in (tmp_path / "pair").iterdir()
    }


def test_the_same_loader_goes_on(subject: Subject, tmp_path: Path) -> None:
    straight = audit(subject, batches(subject.x, subject.y))
    with pytest.raises(KeyboardInterrupt):
        audit(subject, batches(subject.x, subject.y), out=tmp_path, progress=stop_after(9))
    records = tmp_path / "journal/0000.records"
    before = records.read_bytes()
    done = audit(subject, batches(subject.x, subject.y, 13), out=tmp_path)
    assert records.read_bytes()[: len(before)] == before
    assert np.array_equal(done.evidence.margin(), straight.evidence.margin())
    with pytest.raises(Invalid, match="data_sha256"):
        audit(subject, batches(subject.x.flip(0), subject.y.flip(0)), out=tmp_path)


def endless(x: torch.Tensor, y: torch.Tensor, read: list[int]) -> Loader:
    for number in itertools.count():
        read.append(number)
        yield x[:8], y[:8]


def test_of_an_endless_loader_no_more_is_read_than_asked_for(subject: Subject) -> None:
    read: list[int] = []
    done = audit(subject, endless(subject.x, subject.y, read), n=20)
    assert (done.document["n"], read) == (20, [0, 1, 2])


def test_n_beyond_the_loader(subject: Subject) -> None:
    with pytest.raises(Invalid, match="n = 61: must be at most 60"):
        audit(subject, batches(subject.x, subject.y), n=61)


def test_what_is_wrong_otherwise_is_said_before_the_loader_is_read(subject: Subject) -> None:
    read: list[int] = []
    for more in ({"n": 0}, {"confidence": 2.0}, {"access": "labels"}):
        with pytest.raises((Invalid, TypeError)):
            audit(subject, endless(subject.x, subject.y, read), **more)
    assert not read


X, Y = torch.rand(4, 1, 8, 8), torch.tensor([0, 1, 2, 3])


def torn() -> Loader:
    yield from [(X, Y)] * 3
    raise OSError("the share is gone")


BAD: dict[str, tuple[Callable[[], Any], str]] = {
    "torn": (torn, "failed after 12 samples, in batch 3: OSError: the share is gone"),
    "ragged": (lambda: [(X, Y), (X[:, :, :6], Y)], r"batch 1 .*\(1, 6, 8\).* before .*\(1, 8, 8\)"),
    "types": (lambda: [(X, Y), ((X * 255).byte(), Y)], "batch 1 holds samples of .*uint8"),
    "unequal": (lambda: [(X, Y), (X, Y[:3])], "batch 1 holds 4 inputs but 3 labels"),
    "nothing": (list, "the loader gave no samples"),
    "used up": (lambda: iter(()), "make a new one"),
    "empty": (lambda: [(X[:0], Y[:0])], "the loader gave no samples"),
    "dicts": (lambda: [{"image": X, "label": Y}], "a dict of 2: .*its keys are 'image', 'label'"),
    "single": (lambda: [X], "batch 0 is a Tensor: must be a pair"),
    "three": (lambda: [(X, Y, Y)], "a tuple of 3: must be a pair"),
    "a data set": (lambda: [(X[0], 3)], "a tensor .* and a int: .*DataLoader"),
    "a tensor set": (lambda: TensorDataset(X, Y), "and a single number: .*DataLoader"),
    "lists": (lambda: [([1, 2], [0, 1])], "a list and a list"),
    "float labels": (lambda: [(X, Y.float())], "y has type torch.float32: labels must be whole"),
    "one hot": (lambda: [(X, torch.eye(4))], r"y has shape \(4, 4\): .*argmax"),
    "negative": (lambda: [(X, Y - 1)], "the label -1: they must count from 0"),
    "whole inputs": (lambda: [((X * 255).long(), Y)], "x has type torch.int64: must be floats"),
    "flat": (lambda: [(torch.rand(4), Y)], r"x has shape \(4,\)"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_loader_is_named(subject: Subject, tmp_path: Path, name: str) -> None:
    make, message = BAD[name]
    with pytest.raises(BadData, match=message):
        audit(subject, make(), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_loader_that_fails_costs_an_earlier_run_nothing(subject: Subject, tmp_path: Path) -> None:
    run(subject, tmp_path, figures=0)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    with pytest.raises(BadData, match="failed after 12"):
        audit(subject, torn(), out=tmp_path)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_labels_that_the_model_does_not_have(subject: Subject, tmp_path: Path) -> None:
    late = subject.y.clone()
    late[50] = 12
    with pytest.raises(Invalid, match=r"y = 12: must be class indices in 0 … 9"):
        audit(subject, batches(subject.x, late), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_is_no_loader(subject: Subject) -> None:
    for data in (subject.x, {"x": subject.x}, "digits", 3, None):
        with pytest.raises(Invalid, match="or a loader of such pairs"):
            audit(subject, data)
