"""Write a finished run: JSON, evidence.npz, and archives for figures and gallery."""

import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from saddlepoint.audit.archive import Column, whole, write_npz
from saddlepoint.audit.evidence import COLUMNS, Evidence
from saddlepoint.audit.proving.summary import by_proof
from saddlepoint.audit.scores import ScoreTable
from saddlepoint.core.files import write_bytes

__all__ = ["npz_bytes", "write_evidence", "write_json"]

Array = np.ndarray[Any, Any]
_PIECE = 1 << 18  # samples numbered at a time


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
    if e.target is not None:
        columns["target"] = whole(e.target)
    if e.plan.votes > 1:
        hits = (e.hits.get(i, -1) for i in range(e.n))
        columns["hits"] = whole(np.fromiter(hits, dtype=np.int32, count=e.n))
    if e.proofs is not None:
        columns |= {k: whole(v) for k, v in by_proof(e).items()}
    if e.perceived is not None:
        columns["perceptual"] = whole(e.perceived.distance)
    write_npz(path, columns)
