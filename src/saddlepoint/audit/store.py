"""Write a finished run: audit.json, evidence.npz, witnesses.safetensors, figures and gallery."""

import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from saddlepoint.audit.archive import Column, whole, write_npz
from saddlepoint.audit.breaks import breaks
from saddlepoint.audit.evidence import COLUMNS, Evidence
from saddlepoint.audit.journal import Journal
from saddlepoint.audit.proving.summary import by_proof
from saddlepoint.audit.scores import ScoreTable
from saddlepoint.core.files import write_bytes, write_file

__all__ = ["npz_bytes", "write_evidence", "write_json", "write_witnesses"]

Array = np.ndarray[Any, Any]
_PIECE = 1 << 18  # samples numbered at a time
_TYPES = {"int64": "I64", "float32": "F32", "float64": "F64", "uint8": "U8"}  # as safetensors says


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write an object as indented JSON; NaN is refused, since JSON has none."""
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    write_bytes(path, text.encode())


def npz_bytes(arrays: dict[str, Array]) -> bytes:
    """Pack arrays; equal arrays give equal bytes (numpy stamps no time into the archive)."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def write_evidence(path: Path, e: Evidence, scores: ScoreTable) -> None:
    """One row per attack and sample that it was run on; written in pieces, never copied whole."""
    total = sum(len(r.rows) for r in e.rounds)

    def rows(dtype: Any, pieces: Iterable[Array]) -> Column:  # noqa: ANN401 - what numpy takes
        return Column(np.dtype(dtype), (total,), pieces)

    numbered = (np.full(len(r.rows), i, dtype=np.int16) for i, r in enumerate(e.rounds))
    columns = {
        "sample": rows(np.int64, (r.rows for r in e.rounds)),
        "attack": rows(np.int16, numbered),
        "attacks": whole(np.array([r.name for r in e.rounds], dtype=np.str_)),
        "arms": whole(np.array([r.arm for r in e.rounds], dtype=np.str_)),
        "stages": whole(np.array([r.stage for r in e.rounds], dtype=np.str_)),
        **{k: rows(t, [getattr(r, k) for r in e.rounds]) for k, t in COLUMNS.items()},
        "index": Column(
            np.dtype(np.int64),
            (e.n,),
            (np.arange(i, min(i + _PIECE, e.n)) for i in range(0, e.n, _PIECE)),
        ),
        "label": whole(e.label),
        "scores": Column(np.dtype(np.float32), scores.shape, scores.pieces()),
    }
    if e.plan.votes > 1:
        hits = (e.hits.get(i, -1) for i in range(e.n))
        columns["hits"] = whole(np.fromiter(hits, dtype=np.int32, count=e.n))
    if e.proofs is not None:
        columns |= {k: whole(v) for k, v in by_proof(e).items()}
    write_npz(path, columns)


def write_witnesses(path: Path, e: Evidence, journal: Journal, header: dict[str, str]) -> int:
    """Perturbed inputs of broken samples with their indices and attacks; returns how many.

    A sample that several rounds have broken keeps the witness of the first. The file is what
    safetensors writes, filled one chunk of the journal at a time.
    """
    first = e.broken_by()
    index = np.flatnonzero(first >= 0)
    numbers = np.concatenate([first[index].astype(np.int64), index])
    like = next(journal.records(0))["witness"]
    shape = (len(index), *like.shape[1:])
    # One key, since safetensors writes several in an order that changes from run to run.
    about = {"saddlepoint": json.dumps(header, sort_keys=True)}
    head = _head(about, len(index), like.dtype, shape)

    def save(part: Path) -> None:
        with part.open("wb") as f:
            f.write(head)
            f.write(numbers.data)
            start = f.tell()
            f.truncate(start + int(np.prod(shape, dtype=np.int64)) * like.dtype.itemsize)
        for rows, x in breaks(e, journal):
            # Mapped for the moment: what stays mapped counts as memory of the process.
            place = np.memmap(part, like.dtype, "r+", start, shape)
            place[np.searchsorted(index, rows)] = x

    write_file(path, save)
    return len(index)


def _head(
    about: dict[str, str], count: int, dtype: "np.dtype[Any]", shape: tuple[int, ...]
) -> bytes:
    """Length and JSON header of a safetensors file; the larger types come first."""
    parts: dict[str, Any] = {"__metadata__": about}
    end = 0
    for name, kind, size in (
        ("attack", np.int64, (count,)),
        ("index", np.int64, (count,)),
        ("x_adv", dtype, shape),
    ):
        of = np.dtype(kind)
        begin, end = end, end + int(np.prod(size, dtype=np.int64)) * of.itemsize
        parts[name] = {"dtype": _TYPES[of.name], "shape": list(size), "data_offsets": [begin, end]}
    text = json.dumps(parts, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text
