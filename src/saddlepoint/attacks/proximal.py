"""The proximal point of a set's own measure, derived from the verbs it has."""

import torch
from torch import Tensor

from saddlepoint.attacks.boundary import RANGE
from saddlepoint.core.shapes import dot, like
from saddlepoint.core.threat import GradedConvex

__all__ = ["proximal"]

_ROUNDS = 40  # a bound for the loop, which ends after ten rounds or so
_TINY = 1e-4


def proximal(threat: GradedConvex, x: Tensor, v: Tensor, weight: Tensor) -> Tensor:
    """(B, *P) argmin_u ||u - v||^2 / 2 + weight · size(u), v cut to the input range before.

    By Moreau this is v - weight · P(v / weight), P onto the dual ball, which no set offers. But the
    point is also the projection of v onto the set of one size r: the one at which a unit of size
    saves what it costs. With p the projection for r, <v - p, p> / r is what a unit saves of the
    distance, wherever sizes scale with u and projecting only shortens. It is a convex and falling
    function of r in the balls, so a secant through two points left of the root stays left of it, as
    in ``towards``. Sizes below a ten-thousandth of that of v count as none. x: (B, *F). v: (B, *P).
    weight: (B,), not negative.

    >>> from saddlepoint.threats import L1
    >>> x, v = torch.full((1, 3), 0.5), torch.tensor([[0.4, -0.3, 0.1]])
    >>> proximal(L1(eps=1.0), x, v, torch.tensor([0.2]))
    tensor([[ 0.2000, -0.1000,  0.0000]])
    """
    v = threat.at(RANGE).project(x, v)
    old = _TINY * threat.size(x, v)
    high = _savings(threat, x, v, old)
    r, done = 2 * old, ~(high > weight)
    none = done
    for _ in range(_ROUNDS):
        saved = _savings(threat, x, v, r)
        fall = (high - saved) / (r - old)
        step = torch.where(done | ~(fall > 0), 0, (saved - weight) / fall)
        old, high, r = torch.where(done, old, r), torch.where(done, high, saved), r + step
        done = done | ~(step.abs() > 1e-6 * r)
        if bool(done.all()):
            break
    return threat.at(torch.where(none, 0, r)).project(x, v) * like(~none, v)


def _savings(threat: GradedConvex, x: Tensor, v: Tensor, r: Tensor) -> Tensor:
    """(B,) how much d(v, set of size r)^2 / 2 falls per unit of size."""
    p = threat.at(r).project(x, v)
    return (dot(v - p, p) / r).nan_to_num(0, 0, 0)
