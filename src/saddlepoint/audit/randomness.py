"""What an audit of a randomised model says about its randomness."""

from typing import Any

from saddlepoint.audit.evidence import Evidence
from saddlepoint.audit.stats import clopper_pearson

__all__ = ["randomised", "randomness", "success"]

# Floating point repeats itself exactly on the same batch.
_NOISE = 1e-6
_COVERS = (
    "the chance that a stored witness breaks its sample at a fresh draw of the model, on average "
    "over the witnesses; over the model's draws alone, taken as independent, with the witnesses "
    "fixed: neither over samples nor over what another search would have found"
)


def randomised(e: Evidence) -> bool:
    """Whether equal questions got different answers."""
    gap = max(e.notes.get("repeat_gap", 0.0), float(e.probes.get("repeats", {}).get("gap") or 0.0))
    return not gap <= _NOISE


def success(e: Evidence) -> tuple[float, float, float] | None:
    """Mean success of the witnesses over fresh draws and its interval; None where none was asked.

    Clopper-Pearson over all draws together: a sum of binomials with unequal chances varies less
    than one with their mean (Hoeffding 1956), so the interval is no narrower than it says.
    """
    if not e.hits:
        return None
    hits, draws = sum(e.hits.values()), len(e.hits) * e.plan.votes
    return hits / draws, *clopper_pearson(hits, draws, e.plan.confidence)


def randomness(e: Evidence) -> dict[str, Any]:
    """The part of audit.json about draws of the model."""
    found = success(e)
    return {
        "randomised": randomised(e),
        "eot": e.plan.eot,
        "votes": e.plan.votes,
        "witnesses": len(e.hits),
        "success": None if found is None else found[0],
        "interval": None if found is None else list(found[1:]),
        "covers": _COVERS,
        **({} if e.plan.under is None else {"under": e.plan.under.describe()}),
    }
