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
    """(B, 1) float64 the tau >= 0 with sum_i clip(a_i - tau, 0, c_i) = eps, a >= 0; 0 if below eps.

    The nearest point of {||z||_1 <= eps} within a box is sign(u) clip(|u| - tau, 0, c). The sum is
    piecewise linear and falls with tau, but is neither convex nor concave: the root is bracketed by
    regula falsi and bisection in the input's own precision, and then hit exactly by Newton's method
    in float64, for which the piece it lies on is the whole function.

    >>> a, c = torch.tensor([[3.0, 1.0]]), torch.tensor([[9.0, 9.0]])
    >>> threshold(a, c, torch.tensor([[2.0]]))
    tensor([[1.]], dtype=torch.float64)
    """
    inside = torch.minimum(a, c).sum(1, keepdim=True) <= eps
    tau, least, most = (t.double() for t in _bracket(a, c, eps, inside))
    wide, room, goal = a.double(), c.double(), eps.double()
    close = 1e-11 * goal + 1e-14 * wide.amax(1, keepdim=True)  # below that, float64 is noise too
    for _ in range(_ITERATIONS):
        rest = (wide - tau).clamp_(min=0)
        gap = torch.minimum(rest, room).sum(1, keepdim=True) - goal
        if bool((inside | (gap.abs() <= close)).all()):
            break
        least, most = torch.where(gap > 0, tau, least), torch.where(gap > 0, most, tau)
        free = ((rest > 0) & (rest < room)).sum(1, keepdim=True, dtype=torch.int32)
        newton = tau + gap / free
        newton = torch.where((newton < least) | (newton > most), (least + most) / 2, newton)
        flat_here = (free == 0) & ~inside
        if bool(flat_here.any()):
            newton = torch.where(flat_here, _edge(wide, room, tau, gap), newton)
        tau = newton
    return tau.masked_fill(inside, 0)


def _edge(a: Tensor, c: Tensor, tau: Tensor, gap: Tensor) -> Tensor:
    """Just beyond the end of the level stretch around tau, on the side where the root lies."""
    right = (a - c).masked_fill(a - tau < c, torch.inf).amin(1, keepdim=True)
    left = a.masked_fill(a > tau, 0).amax(1, keepdim=True)
    return torch.where(gap > 0, right.nextafter(right + 1), left.nextafter(left - 1))


def _bracket(a: Tensor, c: Tensor, eps: Tensor, inside: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(tau, least, most): narrow [0, max a] around the root down to what rounding hides.

    Regula falsi that halves the weight of the side it keeps, every third round a bisection.
    """
    fine = torch.finfo(a.dtype).eps
    low, high = torch.zeros_like(eps), a.amax(1, keepdim=True)
    over = torch.minimum(a, c).sum(1, keepdim=True) - eps
    under, tau, near = -eps, low, inside
    for round_ in range(_ITERATIONS):
        share = (over / (over - under)).nan_to_num_(0.5).clamp_(0, 1)
        new = low + (high - low) * (0.5 if round_ % 3 == 2 else share)
        tau = torch.where(near, tau, new)
        gap = torch.minimum((a - tau).clamp_(min=0), c).sum(1, keepdim=True) - eps
        above = gap > 0
        over, under = torch.where(above, gap, over / 2), torch.where(above, under / 2, gap)
        low, high = torch.where(above, tau, low), torch.where(above, high, tau)
        near = near | (gap.abs() <= 32 * fine * eps) | (high - low <= 16 * fine * high)
        if bool(near.all()):
            break
    slack = 64 * fine * (eps + high)
    return tau, (low - slack).clamp_(min=0), high + slack


def fill(g: Tensor, c: Tensor, eps: Tensor) -> Tensor:
    """(B, D) the z in [0, c] with sum z <= eps that maximises sum_i |g_i| z_i.

    A fractional knapsack: fill coordinates in the order of |g| until eps is used up.

    >>> fill(torch.tensor([[1.0, -3.0]]), torch.tensor([[0.5, 0.5]]), torch.tensor([[0.7]]))
    tensor([[0.2000, 0.5000]])
    """
    order = g.abs().sort(dim=1, descending=True, stable=True).indices
    room = torch.minimum(c, eps).gather(1, order)
    # Not cumsum - room: what is used up must equal eps exactly, or rounding lets one more in.
    before = torch.cat([torch.zeros_like(room[:, :1]), room.cumsum(1)[:, :-1]], 1)
    used = torch.minimum((eps - before).clamp_(min=0), room)
    return torch.zeros_like(used).scatter_(1, order, used)
