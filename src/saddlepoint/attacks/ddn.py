"""Decoupling direction and norm: the gradient turns the perturbation, its length is set apart."""

from dataclasses import dataclass

import torch

from saddlepoint.attacks.anneal import anneal, check_share
from saddlepoint.attacks.fmn import linear_size
from saddlepoint.core.access import Gradients
from saddlepoint.core.draw import Draw
from saddlepoint.core.shapes import INF, like
from saddlepoint.core.spec import compact
from saddlepoint.core.threat import GradedConvex, radii
from saddlepoint.core.whole import require_whole

__all__ = ["DDN"]


@dataclass(frozen=True, repr=False)
class DDN:
    """u <- P_r(r v / size(v)), v = u + a · steepest(g) (1811.09600, alg. 1).

    The radius r starts where the margin would close if it were linear, shrinks by ``gamma`` after a
    break and grows by it otherwise. The step a falls along a cosine from ``step_size`` radii to a
    hundredth. Published for L_2, with r = 1 at first; the same sentence holds in other sets whose
    perturbations can be scaled. steps: gradients.

    >>> DDN(steps=50)
    DDN(steps=50)
    """

    steps: int = 100
    step_size: float = 1.0
    gamma: float = 0.05

    __repr__ = compact

    def __post_init__(self) -> None:
        require_whole("steps", self.steps)
        check_share("gamma", self.gamma, 1)
        check_share("step_size", self.step_size, INF)

    def __call__(self, oracle: Gradients[GradedConvex], draw: Draw) -> None:
        """Close in on the boundary from x."""
        oracle = oracle.aim("margin")
        u, r = oracle.threat.start(oracle.x), torch.full_like(oracle.x.flatten(1)[:, 0], INF)
        for k in range(self.steps):
            oracle, u, r = oracle.shrink(u, r)
            value, g = oracle.value_and_grad(u)
            c = anneal(self.gamma, 0.02, k, self.steps)
            grown = r * torch.where(value > 0, 1 - c, 1 + c)
            r = torch.where(r.isinf(), linear_size(oracle, u, value, g), grown)
            r = torch.minimum(r, radii(oracle.threat, oracle.x))
            here = oracle.threat.at(r)
            v = u + here.steepest(oracle.x, u, g) * anneal(self.step_size, 0.01, k, self.steps)
            stretch = (r / here.size(oracle.x, v)).clamp(min=1)
            u = here.project(oracle.x, v * like(stretch.nan_to_num(1, 1, 1), v))
        oracle.value(u)
