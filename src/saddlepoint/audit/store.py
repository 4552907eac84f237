"""Write a finished run: audit.json, evidence.npz, witnesses.safetensors, figures and gallery."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from saddlepoint.audit.evidence import Evidence
from saddlepoint.audit.journal import Journal
from saddlepoint.core.files import write_bytes

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


def write_evidence(path: Path, e: Evidence) -> None:
    """One row per attack and sample; samples vary fastest."""
    rounds, n = e.status.shape
    write_bytes(
        path,
        npz_bytes(
            {
                "sample": np.tile(np.arange(n, dtype=np.int64), rounds),
                "attack": np.repeat(np.arange(rounds, dtype=np.int16), n),
                "attacks": np.array(e.names, dtype=np.str_),
                "status": e.status.reshape(-1),
                "margin": e.margin.reshape(-1),
                "forward": e.forward.reshape(-1),
                "backward": e.backward.reshape(-1),
                "nonfinite": e.nonfinite.reshape(-1),
                "zero_gradient": e.zero_gradient.reshape(-1),
                "index": np.arange(n, dtype=np.int64),
                "label": e.label,
                "scores": e.scores,
            }
        ),
    )


def write_witnesses(path: Path, e: Evidence, journal: Journal, header: dict[str, str]) -> int:
    """Perturbed inputs of broken samples with their indices and attacks; returns how many."""
    from safetensors.numpy import save

    index, attack, inputs = [], [], []
    for round_ in range(len(e.names)):
        for record in journal.records(round_):
            good = record["faults"] == ""
            index.append(record["witness_rows"][good])
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
