"""Write a finished run: audit.json, evidence.npz, witnesses.safetensors, figures and gallery."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from saddlepoint.audit.evidence import COLUMNS, Evidence
from saddlepoint.audit.journal import Journal
from saddlepoint.core.files import write_bytes, write_file

__all__ = ["npz_bytes", "write_evidence", "write_json", "write_witnesses"]

Array = np.ndarray[Any, Any]


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write an object as indented JSON; NaN is refused, since JSON has none."""
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    write_bytes(path, text.encode())


def npz_bytes(arrays: dict[str, Array]) -> bytes:
    """Pack arrays; equal arrays give equal bytes (numpy stamps no time into the archive)."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def write_evidence(path: Path, e: Evidence, scores: Array) -> None:
    """One row per attack and sample that it was run on; written in pieces, never copied whole."""
    columns: dict[str, Array] = {
        "sample": np.concatenate([r.rows for r in e.rounds]),
        "attack": np.repeat(
            np.arange(len(e.rounds), dtype=np.int16), [len(r.rows) for r in e.rounds]
        ),
        "attacks": np.array([r.name for r in e.rounds], dtype=np.str_),
        "arms": np.array([r.arm for r in e.rounds], dtype=np.str_),
        "stages": np.array([r.stage for r in e.rounds], dtype=np.str_),
        **{name: np.concatenate([getattr(r, name) for r in e.rounds]) for name in COLUMNS},
        "index": np.arange(e.n, dtype=np.int64),
        "label": e.label,
        "scores": scores,
    }
    if e.plan.votes > 1:
        columns["hits"] = np.array([e.hits.get(i, -1) for i in range(e.n)], dtype=np.int32)

    def save(part: Path) -> None:
        with part.open("wb") as f:
            np.savez_compressed(f, allow_pickle=False, **columns)

    write_file(path, save)


def write_witnesses(path: Path, e: Evidence, journal: Journal, header: dict[str, str]) -> int:
    """Perturbed inputs of broken samples with their indices and attacks; returns how many.

    A sample that several rounds have broken keeps the witness of the first.
    """
    from safetensors.numpy import save

    index, attack, inputs = [], [], []
    done = np.zeros(e.n, dtype=np.bool_)
    for round_ in range(len(e.rounds)):
        for record in journal.records(round_):
            rows = record["witness_rows"]
            good = (record["faults"] == "") & ~done[rows]
            done[rows[good]] = True
            index.append(rows[good])
            attack.append(np.full(int(good.sum()), round_, dtype=np.int64))
            inputs.append(record["witness"][good])
    # One key, since safetensors writes several in an order that changes from run to run.
    about = {"saddlepoint": json.dumps(header, sort_keys=True)}
    order = np.argsort(np.concatenate(index), kind="stable")
    tensors = {
        "x_adv": np.ascontiguousarray(np.concatenate(inputs)[order]),
        "index": np.ascontiguousarray(np.concatenate(index)[order]),
        "attack": np.ascontiguousarray(np.concatenate(attack)[order]),
    }
    write_bytes(path, save(tensors, metadata=about))
    return len(order)
