"""sigma-zero: descend on a smooth count of changed values, and drop the small ones."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from saddlepoint.attacks.anneal import anneal, check_share
from saddlepoint.attacks.places import fewest
from saddlepoint.core.access import Gradients
from saddlepoint.core.draw import Draw
from saddlepoint.core.shapes import INF, flat, like, put
from saddlepoint.core.spec import compact
from saddlepoint.core.threat import Graded
from saddlepoint.core.whole import require_whole

__all__ = ["SigmaZero", "Sparse"]


@runtime_checkable
class Sparse(Graded, Protocol):
    """Nested sets whose size is a count, which has no gradient of its own."""

    def smooth(self, x: Tensor, u: Tensor, sigma: float) -> Tensor:
        """Gradient at u of a smooth stand-in for the share of values that change."""
        ...

    def drop(self, x: Tensor, u: Tensor, below: Tensor) -> Tensor:
        """U within the input range, without the values whose change is below (B,)."""
        ...


@dataclass(frozen=True, repr=False)
class SigmaZero:
    """u <- drop(clip(u + a · d), below t), d = grad(min(margin, 0) - share) (2402.01879, alg. 1).

    share is the smooth share of changed values, sum_i u_i^2 / (u_i^2 + sigma) / D; d is divided by
    its largest entry, and a falls along a cosine from ``step_size``, in units of the input range.
    The threshold t rises by ``change`` times a / step_size while the margin is above zero and falls
    by it otherwise. Needs an L_0 set; looks for the fewest changes whatever the set's own number.
    Steps are alike in all values, so where the box cuts some short it keeps more of them than it
    must, up to half as many again on linear models. Hence, and unlike the paper, at the end the
    count is bisected: of the closest break as many values are kept, or others taken, as move the
    margin most along its gradient, each as far as the box lets it. steps: gradients before that,
    which takes 17 more.

    >>> SigmaZero(steps=100)
    SigmaZero(steps=100)
    """

    steps: int = 1000
    step_size: float = 1.0
    sigma: float = 1e-3
    threshold: float = 0.3
    change: float = 0.01

    __repr__ = compact

    def __post_init__(self) -> None:
        require_whole("steps", self.steps)
        for name in ("step_size", "sigma", "threshold", "change"):
            check_share(name, getattr(self, name), INF)

    def __call__(self, oracle: Gradients[Sparse], draw: Draw) -> None:
        """Change everything that helps, then less and less of it."""
        oracle = oracle.roam().aim("margin")
        u = oracle.threat.start(oracle.x)
        t = torch.full_like(flat(u)[:, 0], self.threshold)
        best, least = u, torch.full_like(t, INF)
        for k in range(self.steps):
            oracle, u, t, best, least = oracle.shrink(u, t, best, least)
            value, g = oracle.value_and_grad(u)
            best, least = _closer(oracle, u, value, best, least)
            a = anneal(1.0, 0.0, k, self.steps)
            if k:
                t = (t + torch.where(value > 0, self.change * a, -self.change * a)).clamp(min=0)
            d = g * like(value <= 0, g) - oracle.threat.smooth(oracle.x, u, self.sigma)
            top = flat(d).abs().amax(1)
            d = d / like(torch.where(top > 0, top, 1), d)
            u = oracle.threat.drop(oracle.x, u + self.step_size * a * d, t)
        best, least = _closer(oracle, u, oracle.value(u), best, least)
        fewest(oracle, put(least.isfinite(), best, u), least)


def _closer(
    oracle: Gradients[Sparse], u: Tensor, value: Tensor, best: Tensor, least: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the break of fewest values so far, and how many they are."""
    size = oracle.threat.size(oracle.x, u)
    closer = (value > 0) & (size < least)
    return put(closer, u, best), torch.where(closer, size, least)
