"""What is written in pieces is what numpy and safetensors write whole."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save

import saddlepoint as sp
from saddlepoint.audit import store
from saddlepoint.audit.archive import Column, write_npz
from saddlepoint.audit.rowfile import RowFile
from tests.audit.conftest import Subject


@pytest.mark.parametrize("quantize", [False, True])
def test_witnesses_are_what_safetensors_writes(
    subject: Subject, tmp_path: Path, quantize: bool
) -> None:
    threat: Any = sp.Linf(eps=0.05)
    data, more = (subject.x, subject.y), {"batch_size": 16, "figures": 0, "out": tmp_path}
    sp.audit(
        subject.model,
        data,
        sp.Quantize(threat) if quantize else threat,
        (sp.FGSM(), sp.PGD(steps=5)),
        **more,  # type: ignore[arg-type]
    )
    path = tmp_path / "witnesses.safetensors"
    tensors, content = load_file(path), path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    about = content[8 : 8 + length].decode()
    assert tensors["x_adv"].dtype == (np.uint8 if quantize else np.float32)
    assert (np.diff(tensors["index"]) > 0).all()
    assert len(tensors["index"]) > 5
    text = about[about.index('{"saddlepoint":"') + 16 : about.index('"},"attack"')]
    whole = save(tensors, metadata={"saddlepoint": text.replace('\\"', '"')})
    assert content == whole


def test_a_run_without_breaks_has_an_empty_file(subject: Subject, tmp_path: Path) -> None:
    right = subject.model(subject.x).argmax(1)
    more: dict[str, Any] = {"figures": 0, "out": tmp_path}
    sp.audit(subject.model, (subject.x, right), sp.Linf(eps=0.0), (sp.FGSM(),), **more)
    tensors = load_file(tmp_path / "witnesses.safetensors")
    assert {k: t.shape for k, t in tensors.items()} == {
        "x_adv": (0, 1, 8, 8),
        "index": (0,),
        "attack": (0,),
    }


def test_archives_are_what_numpy_writes(tmp_path: Path) -> None:
    whole = {"a": np.arange(10_000, dtype=np.int64) % 77, "b": np.array(["x", "longer"])}
    columns = {
        k: Column(v.dtype, v.shape, [v[: len(v) // 3], v[len(v) // 3 :]]) for k, v in whole.items()
    }
    write_npz(tmp_path / "pieces.npz", columns)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **whole)  # type: ignore[arg-type]
    assert (tmp_path / "pieces.npz").read_bytes() == buffer.getvalue()
    assert store.npz_bytes(whole) == buffer.getvalue()


def test_rows_on_disk_are_read_and_replaced(tmp_path: Path) -> None:
    rows = RowFile(tmp_path, np.dtype(np.float32), (3,), 5)
    rows.put(np.array([4, 1]), np.array([[1, 2, 3], [4, 5, 6]]))
    rows.append(np.full((1, 3), 7.0))
    assert rows.take(np.array([1, 4, 0, 5]))[:, 0].tolist() == [4, 1, 0, 7]
    assert np.concatenate(list(rows.pieces(2))).tolist() == [[0, 0, 0], [4, 5, 6]]
    assert not list(tmp_path.iterdir())
    rows.close()
