"""Gradient ascent that may leave the set, and pays more and more for it."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from saddlepoint.attacks.boundary import RANGE
from saddlepoint.attacks.start import Start, begin, check_start
from saddlepoint.core.access import Gradients
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid, Unsupported
from saddlepoint.core.loss import Loss, check_loss
from saddlepoint.core.shapes import like, norm, put
from saddlepoint.core.spec import compact
from saddlepoint.core.threat import MEMBER, Graded, radii
from saddlepoint.core.whole import require_whole

__all__ = ["Lagrangian"]

_FINISH = 0.3  # share of the steps that stay inside


@dataclass(frozen=True, repr=False)
class Lagrangian:
    """Ascend loss(u) - w max(0, size(u) - eps) with a growing weight w (2006.12655, §5).

    A step is a · steepest(g' - w h'), g' and h' the gradients of loss and size scaled to length
    one, the latter only where size(u) > eps; it is cut to the input range, not to the set. w grows
    from ``first`` to ``last`` by equal factors, as in the paper's fast variant, and a falls along a
    cosine from ``reach`` radii to a hundredth. Steps outside are answered and paid for, and never
    recorded. The last third then starts from the last point, projected, and stays inside.

    Departures from the paper: gradients of length one make w independent of the scale of the loss;
    the direction is the set's own; and the last third, since a projection at the very end gives
    away what it moves. steps: gradients. start: where to begin, as for ``PGD``. loss: what to
    climb; None takes the search's. Works in every set with sizes that have gradients.

    >>> Lagrangian(steps=20)
    Lagrangian(steps=20)
    """

    steps: int = 40
    first: float = 1.0
    last: float = 10.0
    reach: float = 1.0
    start: Start = "random"
    loss: Loss | str | None = None

    __repr__ = compact

    def __post_init__(self) -> None:
        require_whole("steps", self.steps)
        check_loss(self.loss)
        check_start(self.start)
        for name in ("first", "last", "reach"):
            value = getattr(self, name)
            if isinstance(value, bool) or not 0 < value < math.inf:
                raise Invalid(name, value, "a finite number above 0")

    def __call__(self, oracle: Gradients[Graded], draw: Draw) -> None:
        """Wander with a growing weight, then settle inside."""
        oracle = oracle.aim(self.loss)
        u = begin(self.start, oracle, draw)
        inner = int(_FINISH * self.steps)
        outer = self.steps - inner
        for k in range(outer):
            oracle, u = oracle.shrink(u)
            _, g = oracle.roam().value_and_grad(u)
            weight = self.first * (self.last / self.first) ** (k / max(1, outer - 1))
            g = _unit(g) - weight * self._price(oracle.threat, oracle.x, u)
            u = _moved(oracle, oracle.threat.at(RANGE), u, g, self._length(k, outer))
        u = oracle.threat.project(oracle.x, u)
        for k in range(inner):
            oracle, u = oracle.shrink(u)
            _, g = oracle.value_and_grad(u)
            u = _moved(oracle, oracle.threat, u, g, self._length(k, inner))
        oracle.value(u)

    def _length(self, k: int, steps: int) -> float:
        """Length of step k of so many, in radii."""
        return self.reach * (0.01 + 0.495 * (1 + math.cos(math.pi * k / steps)))

    def _price(self, threat: Graded, x: Tensor, u: Tensor) -> Tensor:
        """(B, *P) the gradient of the size, of length one, where u is outside; else zero."""
        with torch.enable_grad():
            leaf = u.detach().requires_grad_()
            size = threat.size(x, leaf)
            if not size.requires_grad:
                said = f"that of {type(threat).__name__} has none"
                raise Unsupported(f"Lagrangian needs a size with a gradient: {said}")
            (h,) = torch.autograd.grad(size.sum(), leaf)
        # With slack: a point on the boundary is no matter of rounding.
        outside = size.detach() > radii(threat, x) * (1 + MEMBER) + MEMBER
        return put(outside, _unit(h), torch.zeros_like(h))


def _moved(oracle: Gradients[Graded], into: Graded, u: Tensor, g: Tensor, length: float) -> Tensor:
    """Return u after a step up g, within ``into``."""
    return into.project(oracle.x, u + length * oracle.threat.steepest(oracle.x, u, g))


def _unit(g: Tensor) -> Tensor:
    """Return g with length one per sample; zero stays zero."""
    g = g / like(norm(g, math.inf).clamp(min=torch.finfo(g.dtype).tiny), g)
    return g / like(norm(g, 2).clamp(min=torch.finfo(g.dtype).tiny), g)
