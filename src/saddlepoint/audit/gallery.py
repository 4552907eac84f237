"""The pictures of a report: a few witnesses with what the model said before and after."""

from typing import Any

import numpy as np
import torch

from saddlepoint.audit.evidence import Evidence
from saddlepoint.audit.journal import Journal
from saddlepoint.audit.samples import Samples
from saddlepoint.audit.scores import ScoreTable
from saddlepoint.core.door import Door
from saddlepoint.core.ledger import Status

__all__ = ["gallery"]

Array = np.ndarray[Any, Any]
PICTURES = 10


def _choose(e: Evidence) -> dict[int, int]:
    """Pick samples that an attack broke, one class after another: {sample: round}."""
    first = np.full(e.n, -1, dtype=np.int64)
    for number in range(len(e.rounds) - 1, 0, -1):
        first[e.rounds[number].where(Status.BROKEN)] = number
    turns: dict[int, int] = {}
    order = []
    for row in np.flatnonzero(first > 0).tolist():
        label = int(e.label[row])
        turns[label] = turns.get(label, 0) + 1
        order.append((turns[label], row))
    rows = sorted(row for _, row in sorted(order)[:PICTURES])
    return {row: int(first[row]) for row in rows}


def _collect(e: Evidence, journal: Journal, chosen: dict[int, int]) -> dict[int, Array]:
    found = {}
    for round_ in sorted(set(chosen.values())):
        for record in journal.records(round_):
            for row, x in zip(record["witness_rows"].tolist(), record["witness"], strict=True):
                if chosen.get(row) == round_:
                    found[row] = x / np.float32(255) if x.dtype == np.uint8 else x
    return found


def gallery(
    e: Evidence, journal: Journal, samples: Samples, scores: ScoreTable, door: Door
) -> dict[str, Array] | None:
    """Arrays of ``gallery.npz``, or None where nothing was broken by an attack."""
    chosen = _choose(e)
    if not chosen:
        return None
    found = _collect(e, journal, chosen)
    rows = np.array(sorted(found), dtype=np.int64)
    x, _ = samples.batch(torch.from_numpy(rows))
    x_adv = np.stack([found[r] for r in rows.tolist()]).astype(np.float32)
    after = door.scores(door.fit(torch.from_numpy(x_adv))).float().cpu().softmax(1)
    before = scores.get(torch.from_numpy(rows)).softmax(1)
    return {
        "index": rows,
        "x": x.numpy().astype(np.float32),
        "x_adv": x_adv,
        "label": e.label[rows],
        "pred_before": before.argmax(1).numpy(),
        "pred_after": after.argmax(1).numpy(),
        "conf_before": before.amax(1).numpy(),
        "conf_after": after.amax(1).numpy(),
        "attack": np.array([e.rounds[chosen[r]].arm for r in rows.tolist()], dtype=np.str_),
    }
