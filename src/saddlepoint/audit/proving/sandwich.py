"""The law that attack <= exact <= bound: what contradicts it stops the audit and is kept."""

import json
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch

from saddlepoint.audit.breaks import breaks
from saddlepoint.audit.evidence import Evidence
from saddlepoint.audit.rounds import Rounds
from saddlepoint.core.errors import Unsound
from saddlepoint.core.files import write_bytes
from saddlepoint.core.ledger import Status

__all__ = ["check"]

Array = np.ndarray[Any, Any]
# Bounds and scores are computed in float32, and witnesses may leave the set by their rounding.
TOLERANCE = 1e-4


def check(rounds: Rounds, method: str, bound: Array, folder: Path | None) -> None:
    """Compare upper bounds (n,) on margins with the margins of confirmed witnesses.

    A NaN is no bound. Raises ``Unsound`` where a witness has a larger margin than its bound allows,
    by more than rounding explains, after writing ``unsound.safetensors`` and ``unsound.json``.
    """
    e = rounds.evidence
    rows = np.flatnonzero(e.marked(Status.BROKEN) & ~np.isnan(bound))
    if not len(rows):
        return
    scale = np.maximum(1.0, np.abs(rounds.scores.get(torch.from_numpy(rows)).numpy()).max(1))
    margin = _margins(e)
    excess = margin[rows] - bound[rows] - TOLERANCE * scale
    if not (excess > 0).any():
        return
    row = int(rows[np.argmax(excess)])
    attack = e.rounds[int(e.broken_by()[row])].name
    said = (
        f"sample {row}: {method} bounds its margin by {bound[row]:.6g}, but {attack} reached "
        f"{margin[row]:.6g} with a witness that was confirmed. One of the two is wrong, so no "
        "result of this run can be relied on"
    )
    raise Unsound(said + _advice(rounds, row, said, bound, margin, folder))


def _margins(e: Evidence) -> Array:
    """(n,) the margin of each sample's first witness, NaN where there is none."""
    first, margin = e.broken_by(), np.full(e.n, np.nan, dtype=np.float32)
    for number, r in enumerate(e.rounds):
        mine = first[r.rows] == number
        margin[r.rows[mine]] = r.margin[mine]
    return margin


def _advice(
    rounds: Rounds, row: int, said: str, bound: Array, margin: Array, folder: Path | None
) -> str:
    if folder is None:
        return ". Repeat the audit with out=…, which keeps the counterexample, and report it"
    if rounds.team.first:
        _write(rounds, row, said, float(bound[row]), float(margin[row]), folder)
    return (
        f". Please report it: {folder}/unsound.json says what happened, {folder}/"
        "unsound.safetensors holds the input; add the model if you may share it. Without --verify "
        "the same audit, in another folder, gives the attacks' side alone"
    )


def _write(rounds: Rounds, row: int, said: str, bound: float, margin: float, folder: Path) -> None:
    from safetensors.numpy import save

    e = rounds.evidence
    x, y = rounds.samples.batch(torch.tensor([row]))
    number = int(e.broken_by()[row])
    tensors = {"x": x.numpy(), "index": np.array([row]), "label": y.numpy()}
    for found, x_adv in breaks(e, rounds.journal, {number}):
        tensors |= {"x_adv": x_adv[found == row]} if row in found else {}
    about = {
        "what": said,
        "sample": row,
        "label": int(y),
        "attack": e.rounds[number].name,
        "margin": margin,
        "bound": bound,
        "threat": repr(e.plan.threat),
        "saddlepoint": metadata.version("saddlepoint"),
        "torch": torch.__version__,
    }
    write_bytes(folder / "unsound.safetensors", save(tensors))
    write_bytes(folder / "unsound.json", (json.dumps(about, indent=1) + "\n").encode())
