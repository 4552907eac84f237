"""Stopping and going on."""

import contextlib
import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import saddlepoint as sp
from saddlepoint.audit.journal import Journal
from saddlepoint.core.errors import BadData, Invalid, Unsupported
from tests.audit.conftest import Subject

ATTACKS = (sp.FGSM(), sp.PGD(steps=5))
THREAT = sp.Linf(eps=0.05)
FILES = (
    "evidence.npz",
    "witnesses.safetensors",
    "figures.json",
    "gallery.npz",
    "samples.npz",
    "inspection.npz",
)


def run(s: Subject, out: Path, **more: object) -> sp.Audit:
    options: dict[str, object] = {"out": out, "batch_size": 16, "figures": 6, "probes": 0, **more}
    return sp.audit(s.model, (s.x, s.y), THREAT, ATTACKS, **options)  # type: ignore[arg-type]


def stop_after(calls: int) -> object:
    left = [calls]

    def progress(name: str, done: int, todo: int, broken: int) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize(
    "calls", [2, 11, *(pytest.param(c, marks=pytest.mark.slow) for c in (4, 7, 14))]
)
def test_interrupted_anywhere_ends_the_same(subject: Subject, tmp_path: Path, calls: int) -> None:
    run(subject, tmp_path / "straight")
    with pytest.raises(KeyboardInterrupt):
        run(subject, tmp_path / "stopped", progress=stop_after(calls))
    assert not (tmp_path / "stopped/audit.json").exists()
    run(subject, tmp_path / "stopped")
    for name in FILES:
        there, here = tmp_path / "straight" / name, tmp_path / "stopped" / name
        assert there.read_bytes() == here.read_bytes(), name


def records(out: Path) -> Path:
    return out / "journal/0000.records"


@pytest.mark.parametrize(
    "keep", [0, -1, *(pytest.param(k, marks=pytest.mark.slow) for k in (3, 40, 100, -2000))]
)
def test_a_torn_last_record_is_done_again(subject: Subject, tmp_path: Path, keep: int) -> None:
    run(subject, tmp_path, figures=0)
    before, whole = (tmp_path / "evidence.npz").read_bytes(), records(tmp_path).read_bytes()
    records(tmp_path).write_bytes(whole[:keep])
    run(subject, tmp_path, figures=0)
    assert (tmp_path / "evidence.npz").read_bytes() == before
    mended = records(tmp_path).read_bytes()
    assert len(mended) == len(whole)
    run(subject, tmp_path, figures=0)
    assert records(tmp_path).read_bytes() == mended


def test_no_flipped_byte_goes_unnoticed(tmp_path: Path) -> None:
    record = {"rows": np.arange(3), "error": np.str_(""), "margin": np.ones(3, dtype=np.float32)}
    with contextlib.closing(Journal.open(tmp_path, {"run": 1})) as journal:
        journal.write(0, record)
    whole = records(tmp_path).read_bytes()
    for at in range(44, len(whole)):  # from the checksum on
        records(tmp_path).write_bytes(whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :])
        assert Journal.open(tmp_path, {"run": 1}).read(0, record["rows"]) is None


def test_a_damaged_record_is_done_again(subject: Subject, tmp_path: Path) -> None:
    run(subject, tmp_path)
    before, whole = (tmp_path / "evidence.npz").read_bytes(), records(tmp_path).read_bytes()
    middle = len(whole) // 2
    records(tmp_path).write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    run(subject, tmp_path)
    assert (tmp_path / "evidence.npz").read_bytes() == before


def test_a_foreign_record_is_refused(subject: Subject, tmp_path: Path) -> None:
    run(subject, tmp_path / "a")
    run(subject, tmp_path / "b", seed=1)
    foreign = records(tmp_path / "b").read_bytes()
    with records(tmp_path / "a").open("ab") as f:
        f.write(foreign)
    with pytest.raises(BadData, match="a record of another run"):
        run(subject, tmp_path / "a")


def test_finished_chunks_are_not_done_again(subject: Subject, tmp_path: Path) -> None:
    run(subject, tmp_path)
    before = records(tmp_path).read_bytes()
    run(subject, tmp_path)
    assert records(tmp_path).read_bytes() == before


def test_a_read_only_disk_says_so(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(subject, tmp_path)
    records(tmp_path).write_bytes(b"")
    real = Path.open

    def refuse(self: Path, mode: str = "r", *args: object, **named: object) -> object:
        if mode != "rb" and self.suffix == ".records":
            raise OSError(errno.EROFS, "Read-only file system")
        return real(self, mode, *args, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(OSError, match="choose a folder on another disk"):
        run(subject, tmp_path)


def test_another_plan_is_refused(subject: Subject, tmp_path: Path) -> None:
    run(subject, tmp_path)
    before = (tmp_path / "audit.json").read_bytes()
    with pytest.raises(Invalid, match="seed 0 there, 1 here"):
        run(subject, tmp_path, seed=1)
    with pytest.raises(Invalid, match="data_sha256"):
        run(Subject(subject.model, subject.x.flip(0), subject.y.flip(0)), tmp_path)
    assert (tmp_path / "audit.json").read_bytes() == before


def test_what_was_paid_for_before_there_was_a_run_is_kept(subject: Subject, tmp_path: Path) -> None:
    (tmp_path / "queries.sqlite-lock").touch()
    run(subject, tmp_path)
    assert (tmp_path / "audit.json").exists()


def test_foreign_folders_are_refused(subject: Subject, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(Invalid, match="it holds other files"):
        run(subject, tmp_path)
    with pytest.raises(Invalid, match="a file of that name"):
        run(subject, tmp_path / "thesis.tex")
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_full_disk_keeps_what_is_done(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, left = os.fsync, [3]

    def fsync(handle: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(OSError, match="the disk is full"):
            run(subject, tmp_path / "full")
    assert records(tmp_path / "full").stat().st_size > 0
    run(subject, tmp_path / "full")
    run(subject, tmp_path / "straight")
    assert (tmp_path / "full/evidence.npz").read_bytes() == (
        tmp_path / "straight/evidence.npz"
    ).read_bytes()


def test_header_names_plan_model_and_data(subject: Subject, tmp_path: Path) -> None:
    result = run(subject, tmp_path)
    header = json.loads((tmp_path / "run.json").read_text())
    assert header["model_sha256"] == result.document["model_sha256"]
    assert header["data_sha256"] == result.document["data_sha256"]
    # The batch size is no part of what must be equal: chunks tell it from their rows.
    plan = {k: v for k, v in result.document["plan"].items() if k != "batch_size"}
    assert header["plan"] == plan


class Answering(torch.nn.Module):
    """Same weights, other code: what a defence added to a factory looks like."""

    def __init__(self, inner: torch.nn.Module, shift: int) -> None:
        super().__init__()
        self.inner, self.shift = inner, shift

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x).roll(self.shift, 1)


def test_same_weights_with_other_code_are_another_run(subject: Subject, tmp_path: Path) -> None:
    run(Subject(Answering(subject.model, 0), subject.x, subject.y), tmp_path)
    before = (tmp_path / "audit.json").read_bytes()
    with pytest.raises(Invalid, match="gave other scores to the same inputs"):
        run(Subject(Answering(subject.model, 1), subject.x, subject.y), tmp_path)
    assert (tmp_path / "audit.json").read_bytes() == before


def test_long_radii_tell_runs_apart(tmp_path: Path) -> None:
    few, many = (sp.Linf(eps=torch.full((1500,), e)) for e in (0.02, 0.020001))
    assert repr(few) != repr(many)


def test_another_batch_size_continues(subject: Subject, tmp_path: Path) -> None:
    run(subject, tmp_path / "straight")
    with pytest.raises(KeyboardInterrupt):
        run(subject, tmp_path / "mixed", batch_size=7, progress=stop_after(9))
    run(subject, tmp_path / "mixed")
    there = tmp_path / "straight/witnesses.safetensors"
    assert (tmp_path / "mixed/witnesses.safetensors").read_bytes() == there.read_bytes()


class Flaky(torch.nn.Module):
    """Runs out of memory the first time that a gradient is wanted."""

    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner, self.failed = inner, False

    def forward(self, x: Tensor) -> Tensor:
        if x.requires_grad and not self.failed:
            self.failed = True
            raise RuntimeError("out of memory")
        return self.inner(x)


def test_an_attack_that_raised_gets_another_chance(subject: Subject, tmp_path: Path) -> None:
    model = Flaky(subject.model)
    first = run(Subject(model, subject.x, subject.y), tmp_path, figures=0)
    assert first.document["counts"]["error"] > 0
    second = run(Subject(model, subject.x, subject.y), tmp_path, figures=0)
    assert second.document["counts"]["error"] == 0


def test_a_refused_run_gives_its_folder_back(subject: Subject, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="better than guessing"):
        run(Subject(Answering(subject.model, 1), subject.x, subject.y), tmp_path / "run")
    run(subject, tmp_path / "run")


@pytest.mark.parametrize("calls", [3, 9])
def test_answers_of_two_models_do_not_meet(subject: Subject, tmp_path: Path, calls: int) -> None:
    """Same weights and other answers between two halves of a run: the first stays as it is."""
    halves = [Subject(Answering(subject.model, k), subject.x, subject.y) for k in (0, 1)]
    run(halves[0], tmp_path / "straight", figures=0)
    with pytest.raises(KeyboardInterrupt):
        run(halves[0], tmp_path / "run", progress=stop_after(calls))
    before = records(tmp_path / "run").read_bytes()
    with pytest.raises(Invalid, match="gave other scores to the same inputs"):
        run(halves[1], tmp_path / "run")
    assert records(tmp_path / "run").read_bytes() == before
    run(halves[0], tmp_path / "run", figures=0)
    there, here = (tmp_path / name / "evidence.npz" for name in ("straight", "run"))
    assert there.read_bytes() == here.read_bytes()


class Tripping(torch.nn.Module):
    """Throws at one of its batches."""

    def __init__(self, inner: torch.nn.Module, calls: int) -> None:
        super().__init__()
        self.inner, self.left = inner, calls

    def forward(self, x: Tensor) -> Tensor:
        self.left -= 1
        if self.left == 0 and len(x) > 1:
            raise RuntimeError("out of memory")
        return self.inner(x)


def test_a_model_that_throws_at_a_clean_batch_is_named(subject: Subject, tmp_path: Path) -> None:
    calls = 0

    def count(module: object, args: object) -> None:
        nonlocal calls
        calls += 1

    def note(name: str, done: int, todo: int, broken: int) -> None:
        if done >= 32:
            raise KeyboardInterrupt

    with subject.model.register_forward_pre_hook(count), pytest.raises(KeyboardInterrupt):
        run(subject, tmp_path / "counted", progress=note)
    model = Tripping(subject.model, calls + 1)
    with pytest.raises(Unsupported, match="failed on the clean samples 32 to 47: out of memory"):
        run(Subject(model, subject.x, subject.y), tmp_path / "run")
    kept = records(tmp_path / "run").read_bytes()
    assert run(Subject(model, subject.x, subject.y), tmp_path / "run").document["n"] == 60
    assert records(tmp_path / "run").read_bytes()[: len(kept)] == kept
