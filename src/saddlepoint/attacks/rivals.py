"""Rival classes: how far each is ahead, and whose boundary is the nearest."""

from dataclasses import dataclass

from torch import Tensor

from saddlepoint.attacks.boundary import towards
from saddlepoint.core.access import Gradients
from saddlepoint.core.goal import Goal, hide, read, score_of
from saddlepoint.core.shapes import put
from saddlepoint.core.threat import GradedConvex

__all__ = ["Lead", "nearest_rival"]


@dataclass(frozen=True)
class Lead:
    """Lead of a rival over the class to leave: the target's, or the ``rank``-th best other's."""

    rank: int = 0

    def __call__(self, out: Tensor, goal: Goal) -> Tensor:
        """Return (B,), > 0 where the rival is ahead."""
        source = getattr(goal, "source", None)
        if getattr(goal, "sign", 0) < 0 and source is not None:
            return score_of(out, goal.label) - score_of(out, source)  # type: ignore[attr-defined]
        if getattr(goal, "sign", 0) <= 0:
            return goal.margin(out)
        label: Tensor = goal.label  # type: ignore[attr-defined]
        out = read(out, goal)
        rank = min(self.rank, out.shape[1] - 2)
        rivals = hide(out, label).topk(rank + 1, dim=1).values
        return rivals[:, rank] - score_of(out, label)


def nearest_rival(
    oracle: Gradients[GradedConvex], u: Tensor, rivals: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Lead of the best rival; value, gradient and step of the one with the nearest boundary.

    rivals: how many are tried, the best score first, a gradient each. The step leads from x + u to
    the rival's boundary as the gradient there draws it. Of a goal that is not about leaving a class
    there is one rival.
    """
    x, threat = oracle.x, oracle.threat
    centre = threat.apply(x, u)
    aims = getattr(oracle.goal, "sign", 0) > 0
    count = min(rivals, read(oracle.clean, oracle.goal).shape[1] - 1) if aims else 1
    lead, g = oracle.aim(Lead()).value_and_grad(u)
    found = [lead, g, towards(threat, centre, g, -lead)]
    for rank in range(1, count):
        value, g = oracle.aim(Lead(rank)).value_and_grad(u)
        d = towards(threat, centre, g, -value)
        nearer = threat.size(x, d) < threat.size(x, found[2])
        found = [put(nearer, n, f) for n, f in zip((value, g, d), found, strict=True)]
    return lead, found[0], found[1], found[2]
