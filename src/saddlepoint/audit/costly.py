"""Arms against sets whose projection costs as much as many answers of the model."""

from typing import Any

from saddlepoint.attacks import APGD, PGD, Lagrangian, Sequence, Targets
from saddlepoint.audit.ladder import Ladder
from saddlepoint.core.access import Attack

__all__ = ["arms"]

_STEPS = 20


def arms() -> tuple[Attack[Any], tuple[Ladder, ...]]:
    """Return opening and ladders of gradient steps alone: a query would cost as much as a step.

    The opening starts at random: where a network is silent around x, its gradient is silent too.
    One ladder stays in the set, the other leaves it and comes back.
    """
    two = Sequence(
        (
            APGD(steps=_STEPS, loss="cross-entropy"),
            Targets(PGD(steps=_STEPS // 2, reach=1.0, loss="margin"), n=3),
        )
    )
    inside = (two, APGD(steps=75, loss="cross-entropy"), Targets(APGD(steps=50, loss="dlr"), n=3))
    roam = Lagrangian(steps=2 * _STEPS, loss="margin")
    outside = (Lagrangian(steps=_STEPS, loss="margin"), roam, Targets(roam, n=3))
    return PGD(steps=_STEPS, loss="probability-margin"), (
        Ladder(inside, (103, 150, 303)),
        Ladder(outside, (41, 81, 243)),
    )
