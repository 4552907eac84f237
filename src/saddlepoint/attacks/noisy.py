"""Ascent on a loss that noise smooths, and ever less: for nets whose gradients are masked."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from saddlepoint.attacks.boundary import RANGE
from saddlepoint.core.access import Gradients
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid, Unsupported
from saddlepoint.core.loss import Loss, check_loss
from saddlepoint.core.shapes import flat, like
from saddlepoint.core.spec import compact
from saddlepoint.core.threat import Graded, radii
from saddlepoint.core.whole import require_whole

__all__ = ["NoisyPGD"]

_LOOK = 2  # steps between looks at the point itself


@dataclass(frozen=True, repr=False)
class NoisyPGD:
    """u <- project(u + step · steepest(grad loss(x + u + z))), z ~ N(0, s^2), s falling to 0.

    A unit that clips or saturates has no slope at x, though it has one a little further off: the
    expected loss over z has it everywhere (1103.4296, §2.1), and s fades so that its maximum turns
    into one of the loss itself (1503.03712). Each step takes one z, cut to the input range; every
    other one looks at u itself, since what breaks at x + u + z is no break at x + u.

    steps: gradients. noise: s at the start, as a share of the input range; where that has no end,
    of the range of the sample's own values. move: how far a value goes, as a share of the same;
    then only the (eps / move)^p largest changes are kept after each step, p the order of the ball's
    norm (hard thresholding, 0805.0510): an L2 ball buys a few large changes or many small ones, and
    below a threshold the small ones do nothing. None keeps all. reach: of the first step in radii;
    steps fall along a cosine to a hundredth of it. loss: what to climb; None takes the search's.

    Needs a set with sizes; ``move`` an L1 or L2 ball. Raises ``Unsupported`` otherwise.

    >>> NoisyPGD(move=0.5)
    NoisyPGD(move=0.5)
    """

    steps: int = 25
    noise: float = 0.25
    move: float | None = None
    reach: float = 1.0
    loss: Loss | str | None = "margin"

    __repr__ = compact

    def __post_init__(self) -> None:
        require_whole("steps", self.steps)
        check_loss(self.loss)
        for name in ("noise", "move", "reach"):
            value = getattr(self, name)
            if name == "move" and value is None:
                continue
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not (number and 0 < value < math.inf):
                raise Invalid(name, value, "a positive, finite number")

    def __call__(self, oracle: Gradients[Graded], draw: Draw) -> None:
        """Climb once from x."""
        oracle, draw = oracle.aim(self.loss), draw.tag("noisy")
        u, width = oracle.threat.start(oracle.x), _width(oracle.threat, oracle.x)
        for k in range(self.steps):
            oracle, draw, u, width = oracle.shrink(draw, u, width)
            threat, x = oracle.threat, oracle.x
            free = threat.at(RANGE)
            z = draw.tag("noise", k).normal(*u.shape[1:]).to(u.dtype)
            z = z.mul_(like(self.noise * (1 - k / self.steps) * width, z))
            _, g = oracle.roam().value_and_grad(free.project(x, u + z))
            u = u + self._length(k) * threat.steepest(x, u, g)
            if self.move is not None:
                u = _largest(free.project(x, u), self._count(threat, x, self.move * width))
            u = threat.project(x, u)
            if k % _LOOK or k == self.steps - 1:
                oracle.value(u)

    def _length(self, k: int) -> float:
        """Length of step k in radii."""
        return self.reach * (0.01 + 0.495 * (1 + math.cos(math.pi * k / self.steps)))

    def _count(self, threat: Graded, x: Tensor, move: Tensor) -> Tensor:
        """(B,) how many changes of that size the set has room for."""
        order = getattr(threat, "order", math.inf)
        if not 0 < order < math.inf:
            name = type(threat).__name__
            raise Unsupported(f"move needs an L1 or L2 ball, and {name} is none: move=None fits")
        return ((radii(threat, x) / move) ** order).clamp(max=2**31).round().long()


def _width(threat: Graded, x: Tensor) -> Tensor:
    """(B,) the width of the input range, or of each sample's own values where that has no end."""
    low, high = getattr(threat, "box", (0.0, 1.0))
    if math.isfinite(high - low):
        return torch.full((len(x),), high - low, dtype=x.dtype, device=x.device)
    rows = flat(x)
    own = rows.amax(1) - rows.amin(1)
    return torch.where(own > 0, own, radii(threat, x))


def _largest(u: Tensor, count: Tensor) -> Tensor:
    """U with all but the ``count`` (B,) largest values of each sample set to zero; one at least.

    >>> _largest(torch.tensor([[1.0, -3.0, 2.0]]), torch.tensor([2]))
    tensor([[ 0., -3.,  2.]])
    """
    rows = flat(u)
    order = rows.abs().argsort(dim=1, descending=True, stable=True)
    first = torch.arange(rows.shape[1], device=u.device) < count.clamp(min=1)[:, None]
    kept = torch.zeros_like(first).scatter(1, order, first)
    return torch.where(kept, rows, 0.0).view_as(u)
