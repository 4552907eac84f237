"""Exact solvers behind the balls: the nearest and the furthest point of a ball that a box cuts.

All work on rows: v, a, c are (B, D), eps is (B, 1). c >= 0 is the room that the box leaves in each
coordinate's direction, possibly infinite.
"""

import torch
from torch import Tensor

__all__ = ["fill", "scale", "threshold", "unit"]

_ITERATIONS = 64  # a bound for the loop; both searches end after a handful of rounds


def unit(g: Tensor) -> Tensor:
    """Divide each row by its largest magnitude, so that squares of tiny gradients do not vanish.

    >>> unit(torch.tensor([[1e-30, -5e-31]]))
    tensor([[ 1.0000, -0.5000]])
    """
    top = g.abs().amax(1, keepdim=True)
    return g / torch.where(top > 0, top, 1.0)


def scale(v: Tensor, c: Tensor, eps: Tensor, most: float) -> Tensor:
    """(B, 1) the largest s <= most with sum_i min(s |v_i|, c_i)^2 <= eps^2.

    Both the nearest point of {||z||_2 <= eps} within a box (most = 1) and the furthest one along a
    gradient (most = inf) have the form clip(s v). In t = s^2 the sum is concave, increasing and
    piecewise linear, so Newton's method from t = 0 climbs to the root and stops exactly on it.

    >>> scale(torch.tensor([[3.0, 4.0]]), torch.tensor([[9.0, 1.0]]), torch.tensor([[2.0]]), 1.0)
    tensor([[0.5774]])
    """
    v2, c2, eps2, limit = v * v, c * c, eps * eps, most * most
    t = torch.zeros_like(eps)
    for _ in range(_ITERATIONS):
        capped = t * v2 >= c2
        free = v2.masked_fill(capped, 0).sum(1, keepdim=True)
        left = eps2 - torch.where(capped, c2, 0).sum(1, keepdim=True)
        step = torch.where(free > 0, left.clamp(min=0) / free, limit).clamp(max=limit)
        step = torch.maximum(step, t)
        if bool((step <= t * (1 + 1e-7)).all()):
            break
        t = step
    return t.sqrt()


def threshold(a: Tensor, c: Tensor, eps: Tensor) -> Tensor:
    """(B, 1) the tau >= 0 with sum_i clip(a_i - tau, 0, c_i) = eps, where a >= 0; 0 if below eps.

    The nearest point of {||z||_1 <= eps} within a box is sign(u) clip(|u| - tau, 0, c). The sum is
    piecewise linear and falls with tau, but is neither convex nor concave, so Newton's steps are
    kept in a bracket that every third round halves.

    >>> threshold(torch.tensor([[3.0, 1.0]]), torch.tensor([[9.0, 9.0]]), torch.tensor([[2.0]]))
    tensor([[1.]])
    """
    low, high = torch.zeros_like(eps), a.amax(1, keepdim=True)
    tau = low
    for round_ in range(_ITERATIONS):
        rest = (a - tau).clamp_(min=0)
        gap = torch.minimum(rest, c).sum(1, keepdim=True) - eps
        above = gap > 0
        low, high = torch.where(above, tau, low), torch.where(above, high, tau)
        done = (gap.abs() <= 2e-7 * eps) | ((tau == 0) & ~above) | (high - low <= 1e-7 * high)
        if bool(done.all()):
            break
        free = ((rest > 0) & (rest < c)).sum(1, keepdim=True)
        newton = tau + gap / free
        wild = (newton <= low) | (newton >= high) | (free == 0) | (round_ % 3 == 2)
        tau = torch.where(done, tau, torch.where(wild, (low + high) / 2, newton))
    return torch.where(gap > 2e-7 * eps, high, tau)


def fill(g: Tensor, c: Tensor, eps: Tensor) -> Tensor:
    """(B, D) the z in [0, c] with sum z <= eps that maximises sum_i |g_i| z_i.

    A fractional knapsack: fill coordinates in the order of |g| until eps is used up.

    >>> fill(torch.tensor([[1.0, -3.0]]), torch.tensor([[0.5, 0.5]]), torch.tensor([[0.7]]))
    tensor([[0.2000, 0.5000]])
    """
    order = g.abs().sort(dim=1, descending=True, stable=True).indices
    room = torch.minimum(c, eps).gather(1, order)
    before = room.cumsum(1) - room
    used = torch.minimum((eps - before).clamp_(min=0), room)
    return torch.zeros_like(used).scatter_(1, order, used)
