"""Arms against sets of few parameters: random members and grids first, gradients as one more."""

from typing import Any

from saddlepoint.attacks import PGD, Grid, Refine, Restarts, WorstOf
from saddlepoint.audit.ladder import Ladder
from saddlepoint.core.access import SEEN, Access, Attack
from saddlepoint.core.threat import Gridded

__all__ = ["arms", "cost", "suite"]

TRIES = (20, 60, 180)
FINER = (Refine(rounds=1, keep=2), Refine(rounds=3, keep=4), Refine(rounds=5, keep=12))
_MOST = 2000  # questions per sample beyond which a grid is left out of the cascade
_FEW = 32
_STEPS = 10


def arms(access: Access, threat: Gridded) -> tuple[Attack[Any], tuple[Ladder, ...]]:
    """Return opening and ladders: ends of the ranges, then chance, finer grids, and gradients.

    What breaks anywhere mostly breaks where every parameter is at an end of its range.
    The loss over few parameters has many small hills, which gradients climb and stay on
    (1712.02779, §3); a grid sees all of them.
    """
    finer = FINER if access in SEEN else ()
    near = [(a, float(a.passes(threat))) for a in (*finer, Grid())]
    near = [pair for pair in sorted(near, key=lambda pair: pair[1]) if pair[1] <= _MOST]
    ladders = [Ladder(tuple(WorstOf(k) for k in TRIES), TRIES)]
    if near:
        ladders.append(Ladder(tuple(a for a, _ in near), tuple(p for _, p in near)))
    if access == "gradients":
        climb = PGD(steps=_STEPS, reach=1.0, loss="margin")
        passes = 2 * _STEPS + 1
        rungs = (climb, Restarts(climb, n=2), Restarts(climb, n=4))
        ladders.append(Ladder(rungs, (passes, 2 * passes, 4 * passes)))
    ends = Grid(counts=tuple(min(n, 2) for n in threat.counts))
    return ends if ends.passes(threat) <= _FEW else WorstOf(k=10), tuple(ladders)


def suite(threat: Gridded, access: Access = "gradients") -> tuple[Attack[Any], ...]:
    """Return what stands for the standard suite: the set's own grid, then the finest search.

    Without scores no point says where to look more closely, and the grid is all.

    >>> from saddlepoint import RotateTranslate
    >>> suite(RotateTranslate(degrees=30, pixels=3))
    (Grid(), Refine(rounds=5, keep=12))
    """
    return (Grid(), FINER[-1]) if access in SEEN else (Grid(),)


def cost(threat: Gridded) -> float:
    """Passes of the suite on a sample that survives it."""
    return float(Grid().passes(threat) + FINER[-1].passes(threat))
