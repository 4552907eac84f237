"""Success against queries: after how many questions each sample broke."""

from typing import Any

import numpy as np

from saddlepoint.audit.evidence import Evidence
from saddlepoint.core.ledger import Status

__all__ = ["asked", "spent_at_break"]

Array = np.ndarray[Any, Any]
Json = dict[str, Any]
_AT = (1, 10, 100, 1_000, 5_000, 10_000, 100_000)
_POINTS = 200  # of the curve


def spent_at_break(e: Evidence) -> Array:
    """(n,) forward passes paid for a sample up to its break, the clean one included; -1 where none.

    With votes a search is not left at its first break, and all of it counts.
    """
    spent = np.zeros(e.n, dtype=np.int64)
    found = np.full(e.n, -1, dtype=np.int64)
    for r in e.rounds:
        spent[r.rows] += r.forward
        new = r.where(Status.BROKEN)
        new = new[found[new] < 0]
        found[new] = spent[new]
    return found


def asked(e: Evidence) -> Json | None:
    """Return how accuracy falls with the number of questions; None where gradients were given.

    median, mean: over samples that an attack broke. after: accuracy once every sample had been
    asked about so often. curve: the same at every number at which something broke.
    """
    if e.plan.access == "gradients" and e.plan.max_queries is None:
        return None
    at = np.sort(spent_at_break(e))
    at = at[at > 0]
    most = int(e.total("forward").max())
    by_attack = at[len(e.rounds[0].where(Status.BROKEN)) :]
    counts = sorted({q for q in _AT if q < most} | {most})
    every = np.unique(at)
    if len(every) > _POINTS:
        every = every[np.linspace(0, len(every) - 1, _POINTS).round().astype(int)]
    curve = sorted({1, *every.tolist(), most})
    return {
        "limit": e.plan.max_queries,
        "most": most,
        "broken": len(by_attack),
        "median": float(np.median(by_attack)) if len(by_attack) else None,
        "mean": float(by_attack.mean()) if len(by_attack) else None,
        "after": [{"queries": q, "robust_accuracy": _left(at, q, e.n)} for q in counts],
        "curve": {"queries": curve, "robust_accuracy": [_left(at, q, e.n) for q in curve]},
    }


def _left(at: Array, queries: int, n: int) -> float:
    return (n - int(np.searchsorted(at, queries, side="right"))) / n
