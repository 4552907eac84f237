"""What the attacks may have missed on these samples: from an audit of survivors, and repeats."""

from typing import Any

import numpy as np

from saddlepoint.audit.evidence import Evidence, Round
from saddlepoint.audit.stats import at_most, unseen
from saddlepoint.core.ledger import Status

__all__ = ["incompleteness"]

Json = dict[str, Any]


def incompleteness(e: Evidence) -> Json | None:
    """Return the second interval of an audit, or None where nothing was measured.

    A random part of the survivors met a stronger suite: ``share_at_most`` bounds the share of all
    survivors that it breaks (one-sided), and ``low`` is the robust accuracy that would be left.
    ``residual`` estimates from how often pilot samples were broken how many no run has broken.
    """
    suite = [r for r in e.rounds if r.stage == "suite"]
    residual = _residual([r for r in e.rounds if r.stage == "pilot"], e)
    if not suite:
        return None if residual is None else {"residual": residual}
    first = next(i for i, r in enumerate(e.rounds) if r.stage == "suite")
    exempt = int(e.exempt.sum())  # which no suite could break
    survivors = e.n - int(e.marked(Status.BROKEN, e.rounds[:first]).sum()) - exempt
    met = len(suite[0].rows)
    broken = sum(len(r.where(Status.BROKEN)) for r in suite)
    share = at_most(broken, met, e.plan.confidence)
    return {
        "audited": met,
        "broken": broken,
        "share_at_most": share,
        "low": (survivors * (1 - share) + exempt) / e.n,
        "residual": residual,
    }


def _residual(pilot: list[Round], e: Evidence) -> Json | None:
    """Chao's lower bound of what is unseen among the pilot's samples."""
    if len(pilot) < 2:
        return None
    times = np.zeros(e.n, dtype=np.int64)
    for r in pilot:
        times[r.where(Status.BROKEN)] += 1
    once, twice, seen = (
        int(v) for v in ((times == 1).sum(), (times == 2).sum(), (times > 0).sum())
    )
    if not seen:
        return None
    found = unseen(once, twice, seen, runs=len(pilot), confidence=e.plan.confidence)
    return {
        "seen_once": once,
        "seen_twice": twice,
        "unseen": found.estimate,
        "interval": None if found.interval is None else list(found.interval),
    }
