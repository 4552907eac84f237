"""From a point outside a set of features to a member close by."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from saddlepoint.core.shapes import dot, like, norm, put
from saddlepoint.core.threat import MEMBER, radii

if TYPE_CHECKING:
    from saddlepoint.threats.feature import Features

__all__ = ["inside", "pull_in"]

_NEWTON = 2
_ROUNDS = 12  # of the bisection, at most: each takes one pass of the network
_CLOSE = 0.98  # of the distance allowed: a member so close to the boundary is close enough
_CAUTION = 1e-4  # rounding, of the distance allowed
_RETREATS = (0.99, 0.98, 0.95, 0.9, 0.7, 0.3)  # shares of what float64 does not confirm


def inside(threat: "Features", x: Tensor, u: Tensor, most: Tensor) -> Tensor:
    """(B,) bool: the features of x + u lie within ``most`` (B,) of those of x, in float64.

    Of the input as it is applied, in its own floating type.
    """
    with torch.no_grad():
        moved = threat.apply(x, u).double()
        return threat.perceptual.distance(x.double(), moved) <= most


def pull_in(threat: "Features", x: Tensor, u: Tensor) -> Tensor:
    """(B, *F) members near u, which lies in the box; rows that are members stay as they are."""
    eps = radii(threat, x)
    with torch.no_grad():
        base = threat.perceptual.features(x)
    far = _distance(threat, x, u, base)
    rows = (~(far <= eps * (1 + _CAUTION))).nonzero().squeeze(1)  # NaN is outside
    if len(rows):
        part = _Rows(threat, x[rows], base[rows], eps[rows])
        u = u.index_copy(0, rows, part.pulled(u[rows]))
    return _confirmed(threat, x, u, eps)


class _Rows:
    """The rows that are outside, and what their inputs look like to the network."""

    def __init__(self, threat: "Features", x: Tensor, base: Tensor, eps: Tensor) -> None:
        self.threat, self.x, self.base = threat, x, base
        self.eps = eps * (1 - _CAUTION)

    def pulled(self, u: Tensor) -> Tensor:
        """The nearer of two members: straight back towards x, or by Newton's steps first.

        Close to the boundary Newton's steps lose less of u; from far away they may go astray.
        """
        u = u.nan_to_num(0, 0, 0)
        straight, bent = self._bisect(u), u
        for _ in range(_NEWTON):
            bent = self._newton(bent)
        bent = self._bisect(bent)
        return put(norm(bent - u, 2) < norm(straight - u, 2), bent, straight)

    def _newton(self, u: Tensor) -> Tensor:
        """Move along the gradient of the distance to where it would be eps if it were linear."""
        with torch.enable_grad():
            leaf = u.detach().requires_grad_()
            d = _distance(self.threat, self.x, leaf, self.base)
            (h,) = torch.autograd.grad(d.sum(), leaf)
        d = d.detach()
        length = (d - self.eps).clamp(min=0) / dot(h, h)
        new = self.threat.clip(self.x, u - like(length.nan_to_num(0, 0, 0), h) * h)
        return put(_distance(self.threat, self.x, new, self.base) < d, new, u)

    def _bisect(self, u: Tensor) -> Tensor:
        """The largest share of u that is inside, between none and all: regula falsi, guarded."""
        d = _distance(self.threat, self.x, u, self.base)
        low, high = torch.zeros_like(d), torch.ones_like(d)
        at_low, at_high = torch.zeros_like(d), d
        done = d <= self.eps
        low = torch.where(done, high, low)
        for _ in range(_ROUNDS):
            if bool(done.all()):
                break
            share = ((0.995 * self.eps - at_low) / (at_high - at_low)).nan_to_num(0.5, 0.5, 0.5)
            t = low + (high - low) * share.clamp(0.1, 0.9)
            d = _distance(self.threat, self.x, u * like(t, u), self.base)
            member = d <= self.eps
            up, down = ~done & member, ~done & ~member
            low, at_low = torch.where(up, t, low), torch.where(up, d, at_low)
            high, at_high = torch.where(down, t, high), torch.where(down, d, at_high)
            done = done | (up & (d >= _CLOSE * self.eps))
        return u * like(low, u)


def _distance(threat: "Features", x: Tensor, u: Tensor, base: Tensor) -> Tensor:
    moved = threat.perceptual.features(threat.apply(x, u)) - base
    length: Tensor = torch.linalg.vector_norm(moved, dim=1)
    return length


def _confirmed(threat: "Features", x: Tensor, u: Tensor, eps: Tensor) -> Tensor:
    """Let float64 judge; what it refuses goes back towards x, and to x itself at last."""
    most = eps.double() * (1 + MEMBER) + MEMBER
    for share in (*_RETREATS, 0.0):
        refused = ~inside(threat, x, u, most)
        if not bool(refused.any()):
            break
        u = put(refused, u * share, u)
    return u
