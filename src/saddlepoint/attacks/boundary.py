"""The boundary: its nearest point where it is linear, and where it is crossed on the way to x."""

import torch
from torch import Tensor

from saddlepoint.core.access import Gradients, Scores
from saddlepoint.core.shapes import INF, dot, flat, like, put
from saddlepoint.core.threat import Graded, GradedConvex

__all__ = ["BEYOND", "RANGE", "close_in", "settle", "towards"]

BEYOND = 1.001  # on the boundary itself nothing is broken yet
RANGE = 1e12  # a size beyond every input range

_FOLLOW = 3  # gradients along the boundary
_QUESTIONS = 3  # between x and the closest break
_ROUNDS = 24  # a bound for the loop, which ends after seven rounds or so
_TINY = 1e-4


def towards(threat: GradedConvex, x: Tensor, g: Tensor, b: Tensor) -> Tensor:
    """(B, *P) the smallest d with <g, d> = b among those that the input range allows.

    h(r), the maximum of <g, d> over the set of size r around x, is concave with h(0) = 0, so the
    smallest size is the root of h(r) = |b|, and the maximiser there is the point. A secant of a
    concave function through two points left of the root stays left of it: the search climbs and
    never turns back. Where no d will do, the best corner of the range is returned. x: (B, *F) the
    centre. b: (B,), of either sign.

    >>> from saddlepoint.threats import L2
    >>> x, g = torch.tensor([[0.5, 0.5]]), torch.tensor([[3.0, 4.0]])
    >>> towards(L2(eps=1.0), x, g, torch.tensor([1.0]))
    tensor([[0.1200, 0.1600]])
    """
    top = flat(g).abs().amax(1)
    unit = torch.where(top > 0, top, 1.0) * torch.where(b < 0, -1.0, 1.0)
    g, b = g / like(unit, g), (b / unit).nan_to_num(0, 0, 0)
    old, r = torch.zeros_like(b), torch.full_like(b, _TINY)
    low, done = torch.zeros_like(b), b == 0
    for _ in range(_ROUNDS):
        high = dot(g, threat.at(r).maximise(x, g)).nan_to_num(0, 0, 0)
        rise = (high - low) / (r - old)
        done = done | (high >= b * (1 - 1e-6)) & (old > 0) | ~(rise > 1e-6)
        if bool(done.all()):
            break
        step = torch.where(done, 0, (b - high) / rise)
        old, low, r = torch.where(done, old, r), torch.where(done, low, high), r + step
    return threat.at(torch.where(b == 0, 0, r)).maximise(x, g)


def close_in(oracle: Scores[Graded], u: Tensor, value: Tensor, questions: int) -> None:
    """Ask where the boundary is on the way from x to u, by regula falsi.

    u: (B, *P) points that broke. value: (B,) the oracle's value there, above zero.
    """
    low, high = torch.zeros_like(value), torch.ones_like(value)
    below, above = oracle.value(oracle.threat.start(oracle.x)), value
    for _ in range(questions):
        oracle, u, low, high, below, above = oracle.shrink(u, low, high, below, above)
        root = low + (high - low) * (below / (below - above)).nan_to_num(1, 1, 1).clamp(0, 1)
        share = torch.minimum(root * BEYOND, high)
        value = oracle.value(u * like(share, u))
        broken = value > 0
        high, low = torch.where(broken, share, high), torch.where(broken, low, share)
        above, below = torch.where(broken, value, above), torch.where(broken, below, value)


def settle(oracle: Gradients[GradedConvex], u: Tensor) -> None:
    """Follow the boundary from u, then ask between x and the closest break.

    Each of three steps leads to the point of smallest size on the boundary as the gradient draws
    it: where the boundary is flat, one is enough. u: (B, *P), breaks where there are some.
    """
    best, least = u, torch.full_like(flat(u)[:, 0], INF)
    above = least
    for k in range(_FOLLOW + 1):
        oracle, u, best, least, above = oracle.shrink(u, best, least, above)
        value, g = (oracle.value(u), None) if k == _FOLLOW else oracle.value_and_grad(u)
        size = oracle.threat.size(oracle.x, u)
        closer = (value > 0) & (size < least)
        best, least = put(closer, u, best), torch.where(closer, size, least)
        above = torch.where(closer, value, above)
        if g is not None:
            nearest = towards(oracle.threat, oracle.x, g, dot(g, u) - value)
            u = oracle.threat.project(oracle.x, BEYOND * nearest)
    close_in(oracle, best, above, _QUESTIONS)
