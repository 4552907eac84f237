"""NES: the gradient from pairs of Gaussian questions, then a projected step."""

import math
from dataclasses import dataclass

import torch

from saddlepoint.attacks.anneal import check_share
from saddlepoint.attacks.differences import slope, stretched
from saddlepoint.core.access import Scores
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid
from saddlepoint.core.loss import Loss, check_loss
from saddlepoint.core.spec import compact
from saddlepoint.core.threat import ThreatModel
from saddlepoint.core.whole import require_whole

__all__ = ["NES"]


@dataclass(frozen=True, repr=False)
class NES:
    """g = sum_i (f(u + s n_i) - f(u - s n_i)) n_i, u' = project(u + step · steepest(g)).

    Natural evolution strategies (1804.08598, §2.3): n_i are normal, and each is asked about on both
    sides. Questions are projected into the set, so that each may be a break; slopes are taken along
    what is left of 2 s n. The centre is asked about after each step. n_queries: evaluations per
    sample. pairs: antithetic pairs per step. sigma: length of n, in radii. step_size: in
    radii. momentum: share of the gradients before in each. loss: what to climb.

    >>> NES(n_queries=1000)
    NES(n_queries=1000)
    """

    n_queries: int = 5000
    pairs: int = 25
    sigma: float = 0.1
    step_size: float = 0.2
    momentum: float = 0.9
    loss: Loss | str | None = "margin"

    __repr__ = compact

    def __post_init__(self) -> None:
        for name in ("n_queries", "pairs"):
            require_whole(name, getattr(self, name))
        for name in ("sigma", "step_size"):
            check_share(name, getattr(self, name), math.inf)
        if not 0 <= self.momentum < 1:
            raise Invalid("momentum", self.momentum, "a share in [0, 1)")
        check_loss(self.loss)

    def __call__(self, oracle: Scores[ThreatModel], draw: Draw) -> None:
        """Climb from the clean input."""
        oracle = oracle.aim(self.loss)
        u = oracle.threat.start(oracle.x)
        m, left = torch.zeros_like(u), self.n_queries
        while left > 0:
            g = torch.zeros_like(u)
            for _ in range(min(self.pairs, left // 2)):
                oracle, u, m, g, draw = oracle.shrink(u, m, g, draw)
                n = draw.tag(left).normal(*u.shape[1:]).to(u.dtype)
                g = g + slope(oracle, u, self.sigma * stretched(oracle, u, n))
                left -= 2
            m = self.momentum * m + (1 - self.momentum) * g
            step = oracle.threat.steepest(oracle.x, u, m)
            u = oracle.threat.project(oracle.x, u + self.step_size * step)
            if left:
                oracle.value(u)
                left -= 1
