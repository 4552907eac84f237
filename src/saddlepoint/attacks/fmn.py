"""Fast minimum-norm: ascend within a radius that shrinks after a break and grows otherwise."""

from dataclasses import dataclass

import torch
from torch import Tensor

from saddlepoint.attacks.anneal import anneal, check_share
from saddlepoint.core.access import Gradients
from saddlepoint.core.draw import Draw
from saddlepoint.core.shapes import INF, dot
from saddlepoint.core.spec import compact
from saddlepoint.core.threat import Graded, radii
from saddlepoint.core.whole import require_whole

__all__ = ["FMN", "linear_size"]


@dataclass(frozen=True, repr=False)
class FMN:
    """u <- P_r(u + a · steepest(g)), P_r onto the set of size r (2102.12827, alg. 1).

    Before the first break r = size(u) + margin / slope, the size at which the margin would close if
    it were linear, and a little more each time; then r <- min((1 - c) r, the smallest size of a
    break) after a break and r <- (1 + c) r otherwise. c falls along a cosine from ``gamma`` to
    200th, the step a from ``step_size`` radii to a hundredth. r never exceeds the set's own size.
    steps: gradients. Climbs the margin of its goal; works in every set with sizes. Departures from
    the paper: a step's length is counted in radii r and takes the set's own steepest direction, and
    c starts at 0.2, not 0.05, which comes closer in as few as 100 steps.

    >>> FMN(steps=50)
    FMN(steps=50)
    """

    steps: int = 100
    step_size: float = 1.0
    gamma: float = 0.2

    __repr__ = compact

    def __post_init__(self) -> None:
        require_whole("steps", self.steps)
        check_share("gamma", self.gamma, 1)
        check_share("step_size", self.step_size, INF)

    def __call__(self, oracle: Gradients[Graded], draw: Draw) -> None:
        """Close in on the boundary from x."""
        oracle = oracle.aim("margin")
        u, r = oracle.threat.start(oracle.x), radii(oracle.threat, oracle.x)
        best = torch.full_like(r, INF)
        for k in range(self.steps):
            oracle, u, r, best = oracle.shrink(u, r, best)
            value, g = oracle.value_and_grad(u)
            size = oracle.threat.size(oracle.x, u)
            best = torch.where(value > 0, torch.minimum(best, size), best)
            r = self._radius(oracle, k, r, best, linear_size(oracle, u, value, g), value > 0)
            here = oracle.threat.at(r)
            step = here.steepest(oracle.x, u, g) * anneal(self.step_size, 0.01, k, self.steps)
            u = here.project(oracle.x, u + step)
        oracle.value(u)

    def _radius(
        self,
        oracle: Gradients[Graded],
        k: int,
        r: Tensor,
        best: Tensor,
        guess: Tensor,
        broken: Tensor,
    ) -> Tensor:
        """(B,) the next radius."""
        c = anneal(self.gamma, 0.005, k, self.steps)
        least = r * (1 + c) if k else 0 * r  # a guess may stay put in front of the boundary
        out = torch.where(best.isinf(), torch.maximum(guess * (1 + c), least), r * (1 + c))
        new = torch.where(broken, torch.minimum(r * (1 - c), best), out)
        return torch.minimum(new, radii(oracle.threat, oracle.x))


def linear_size(oracle: Gradients[Graded], u: Tensor, value: Tensor, g: Tensor) -> Tensor:
    """(B,) the size at which the value would reach zero if it were linear around u.

    The slope is that of one unit of the set's steepest direction, the dual norm of g in a ball.
    Infinite where the gradient leads nowhere.
    """
    unit = oracle.threat.at(torch.ones_like(value)).steepest(oracle.x, u, g)
    far = -value / dot(g, unit)
    size = oracle.threat.size(oracle.x, u) + torch.where(far > 0, far, 0)
    return torch.where(size.isfinite(), size, INF)
