"""Stopping and going on."""

import errno
import json
from pathlib import Path

import pytest

import saddlepoint as sp
from saddlepoint.core.errors import Invalid
from tests.audit.conftest import Subject

ATTACKS = (sp.FGSM(), sp.PGD(steps=5))
THREAT = sp.Linf(eps=0.05)
FILES = ("evidence.npz", "witnesses.safetensors", "figures.json", "gallery.npz")


def run(s: Subject, out: Path, **more: object) -> sp.Audit:
    options: dict[str, object] = {"out": out, "batch_size": 16, "figures": 6, **more}
    return sp.audit(s.model, (s.x, s.y), THREAT, ATTACKS, **options)  # type: ignore[arg-type]


def stop_after(calls: int) -> object:
    left = [calls]

    def progress(name: str, done: int, todo: int, broken: int) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize("calls", [2, 4, 7, 11, 14])
def test_interrupted_anywhere_ends_the_same(subject: Subject, tmp_path: Path, calls: int) -> None:
    run(subject, tmp_path / "straight")
    with pytest.raises(KeyboardInterrupt):
        run(subject, tmp_path / "stopped", progress=stop_after(calls))
    assert not (tmp_path / "stopped/audit.json").exists()
    run(subject, tmp_path / "stopped")
    for name in FILES:
        there, here = tmp_path / "straight" / name, tmp_path / "stopped" / name
        assert there.read_bytes() == here.read_bytes(), name


def test_a_torn_chunk_is_done_again(subject: Subject, tmp_path: Path) -> None:
    run(subject, tmp_path)
    before = (tmp_path / "evidence.npz").read_bytes()
    chunk = sorted((tmp_path / "journal").glob("*.npz"))[1]
    chunk.write_bytes(chunk.read_bytes()[:100])
    run(subject, tmp_path)
    assert (tmp_path / "evidence.npz").read_bytes() == before


def test_finished_chunks_are_not_done_again(subject: Subject, tmp_path: Path) -> None:
    run(subject, tmp_path)
    stamps = {p: p.stat().st_mtime_ns for p in (tmp_path / "journal").glob("*.npz")}
    run(subject, tmp_path)
    assert stamps == {p: p.stat().st_mtime_ns for p in (tmp_path / "journal").glob("*.npz")}


def test_another_plan_is_refused(subject: Subject, tmp_path: Path) -> None:
    run(subject, tmp_path)
    before = (tmp_path / "audit.json").read_bytes()
    with pytest.raises(Invalid, match="seed 0 there, 1 here"):
        run(subject, tmp_path, seed=1)
    with pytest.raises(Invalid, match="data_sha256"):
        run(Subject(subject.model, subject.x.flip(0), subject.y.flip(0)), tmp_path)
    assert (tmp_path / "audit.json").read_bytes() == before


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
    import numpy as np

    real, left = np.savez, [3]

    def savez(*args: object, **arrays: object) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(*args, **arrays)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", savez)
        with pytest.raises(OSError, match="the disk is full"):
            run(subject, tmp_path / "full")
    journal = list((tmp_path / "full/journal").iterdir())
    assert [p.suffix for p in journal] == [".npz"] * 3
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
    assert header["plan"] == result.document["plan"]
