"""The samples that a reader wants to see, and what the model takes each witness for."""

from typing import Any

import numpy as np
import torch

from saddlepoint.audit.breaks import witnesses
from saddlepoint.audit.evidence import Evidence, code
from saddlepoint.audit.journal import Journal
from saddlepoint.audit.samples import Samples
from saddlepoint.audit.scores import ScoreTable
from saddlepoint.core.door import Door
from saddlepoint.core.ledger import Status

__all__ = ["KINDS", "choose", "notable"]

Array = np.ndarray[Any, Any]
# Broken with the fewest passes; survivors closest to the boundary; survivors farthest from it.
KINDS = ("easy", "narrow", "safe")
SHOWN = 8


def passes_to_break(e: Evidence) -> Array:
    """(n,) passes spent on each sample: up to its first break, in all where nothing broke it."""
    spent, fell = np.zeros(e.n, dtype=np.int64), e.broken_by()
    for number, r in enumerate(e.rounds):
        met = (fell[r.rows] < 0) | (number <= fell[r.rows])
        spent[r.rows[met]] += r.forward[met].astype(np.int64) + r.backward[met]
    return spent


def margin_at_break(e: Evidence) -> Array:
    """(n,) the margin of the first break, the worst margin seen where nothing broke the sample."""
    margin, fell = e.margin(), e.broken_by()
    for number, r in enumerate(e.rounds):
        first = fell[r.rows] == number
        margin[r.rows[first]] = r.margin[first]
    return margin


def choose(e: Evidence) -> list[tuple[str, int]]:
    """Pick up to ``SHOWN`` samples of each kind, the most telling first; none comes twice."""
    margin, spent = margin_at_break(e), passes_to_break(e)
    fell = np.flatnonzero(e.broken_by() > 0)  # an input that is wrong as it is needed no attack
    easy = fell[np.lexsort((fell, -margin[fell], spent[fell]))]
    stood = np.flatnonzero((e.verdict() == code(Status.SURVIVED)) & np.isfinite(margin))
    stood = stood[np.lexsort((stood, -margin[stood]))]
    narrow, rest = stood[:SHOWN], stood[SHOWN:]
    ranked = (easy[:SHOWN], narrow, rest[::-1][:SHOWN])
    return [(kind, int(row)) for kind, rows in zip(KINDS, ranked, strict=True) for row in rows]


def answers(e: Evidence, journal: Journal, door: Door) -> Array:
    """(n,) int32 the class that the model takes each stored witness for, -1 where there is none."""
    said = np.full(e.n, -1, dtype=np.int32)
    for rows, x in witnesses(e, journal):
        said[rows] = door.scores(door.fit(torch.from_numpy(x))).argmax(1).cpu().numpy()
    return said


def notable(
    e: Evidence, journal: Journal, samples: Samples, scores: ScoreTable, door: Door
) -> dict[str, Array]:
    """Arrays of ``samples.npz``.

    Of the chosen samples: kind, index, x, label, pred (of the witness, or of the clean input where
    nothing broke it), margin, passes, attack (that broke it). Of every witness: witness_index,
    witness_pred.
    """
    said, chosen = answers(e, journal, door), choose(e)
    rows = np.array([row for _, row in chosen], dtype=np.int64)
    x, _ = samples.batch(torch.from_numpy(rows) if len(rows) else torch.arange(1))
    clean = scores.get(torch.from_numpy(rows)).argmax(1).numpy()
    fell, stored = e.broken_by(), np.flatnonzero(said >= 0)
    return {
        "kind": np.array([kind for kind, _ in chosen], dtype="<U8"),
        "index": rows,
        "x": x[: len(rows)].numpy().astype(np.float32),
        "label": e.label[rows],
        "pred": np.where(said[rows] >= 0, said[rows], clean).astype(np.int64),
        "margin": margin_at_break(e)[rows],
        "passes": passes_to_break(e)[rows],
        "attack": np.array(
            [e.rounds[fell[r]].arm if fell[r] > 0 else "" for r in rows.tolist()], dtype=np.str_
        ),
        "witness_index": stored,
        "witness_pred": said[stored].astype(np.int64),
    }
