"""Arms against a set in pieces: gradients climb within one, random members find others."""

from typing import Any

from saddlepoint.attacks import Polish, WorstOf
from saddlepoint.audit.ladder import Ladder
from saddlepoint.core.access import Access, Attack

__all__ = ["arms"]

TRIES = (50, 200, 800)
_STEPS = 20


def arms(access: Access) -> tuple[Attack[Any], Ladder]:
    """Return what opens, and one more ladder: the worst of ever more members, then an ascent.

    Where a patch may lie anywhere, gradients at one place say little about another.

    >>> arms("scores")[0]
    WorstOf(k=20)
    """
    if access != "gradients":
        return WorstOf(k=20), Ladder(tuple(WorstOf(k) for k in TRIES), TRIES)
    rungs = tuple(Polish(WorstOf(k), steps=_STEPS) for k in TRIES)
    return Polish(WorstOf(k=20), steps=_STEPS), Ladder(
        rungs, tuple(k + 2 * _STEPS + 1 for k in TRIES)
    )
