"""Finite differences within a set: what two answers say of the gradient between them."""

import math

import torch
from torch import Tensor

from saddlepoint.core.access import Scores
from saddlepoint.core.shapes import INF, dot, flat, like, norm
from saddlepoint.core.threat import ThreatModel

__all__ = ["across", "apart", "dense", "slope", "stretched", "uniform"]


def stretched(oracle: Scores[ThreatModel], u: Tensor, n: Tensor) -> Tensor:
    """(B, *P) the direction n at the Euclidean length that one radius has along it.

    In the L_inf ball that is eps per coordinate on average, in the L2 ball eps in all.
    """
    radius = norm(oracle.threat.steepest(oracle.x, u, n), 2)
    size = norm(n, 2)
    return n * like(radius / size.masked_fill(size == 0, 1), n)


def dense(oracle: Scores[ThreatModel], u: Tensor, n: Tensor) -> Tensor:
    """(B,) what one radius gives to each coordinate where all move alike. n: (B, *P), signs."""
    count = max(1, flat(u).shape[1])
    radius = norm(oracle.threat.steepest(oracle.x, u, n), 2)
    return radius / math.sqrt(count)


def across(oracle: Scores[ThreatModel], u: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
    """(B,) by how much the loss at u + step is above that at u - step, and the way between them.

    Both points are projected, so that each may be a break and none is outside the input range; the
    way, (B, *P), is what the projections leave of 2 step.
    """
    threat, x = oracle.threat, oracle.x
    ahead, behind = threat.project(x, u + step), threat.project(x, u - step)
    gain = oracle.value(ahead) - oracle.value(behind)
    return gain.nan_to_num(0, 0, 0).to(u.dtype), ahead - behind


def slope(oracle: Scores[ThreatModel], u: Tensor, step: Tensor) -> Tensor:
    """(B, *P) the smallest g with <g, d> = gain, of the two questions of ``across``."""
    gain, d = across(oracle, u, step)
    size = dot(d, d)
    return d * like(gain / size.masked_fill(size == 0, 1), d)


def apart(oracle: Scores[ThreatModel], u: Tensor, n: Tensor) -> Tensor:
    """(B,) bool: whether coordinates do not compete, as in a box: only signs of g count.

    n: (B, *P) any vector with entries of many sizes.
    """
    threat, x = oracle.threat, oracle.x
    step, even = threat.steepest(x, u, n), threat.steepest(x, u, n.sign())
    return torch.isclose(flat(step), flat(even)).all(1)


def uniform(oracle: Scores[ThreatModel], u: Tensor, n: Tensor) -> Tensor:
    """(B,) bool: whether one radius is as long along any single coordinate as along many.

    True of the L2 ball, where what one coordinate gives up any other can take. n: (B, *P) any
    vector without zeros; of the coordinates that can move along it, the two that move most and
    least are tried.
    """
    threat, x = oracle.threat, oracle.x
    many = threat.steepest(x, u, n)
    step = flat(many).abs()
    same = torch.ones(len(u), dtype=torch.bool, device=u.device)
    for chosen in (step.argmax(1, keepdim=True), step.where(step > 0, INF).argmin(1, keepdim=True)):
        one = torch.zeros_like(flat(n)).scatter(1, chosen, flat(many).gather(1, chosen)).view_as(n)
        same &= torch.isclose(norm(many, 2), norm(threat.steepest(x, u, one), 2), rtol=1e-3)
    return same
