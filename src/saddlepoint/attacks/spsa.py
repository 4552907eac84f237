"""SPSA: random signs ask about all coordinates at once, Adam takes the steps."""

import math
from dataclasses import dataclass

import torch

from saddlepoint.attacks.adam import Adam
from saddlepoint.attacks.anneal import check_share
from saddlepoint.attacks.differences import dense, slope
from saddlepoint.core.access import Scores
from saddlepoint.core.draw import Draw
from saddlepoint.core.loss import Loss, check_loss
from saddlepoint.core.shapes import like
from saddlepoint.core.spec import compact
from saddlepoint.core.threat import ThreatModel
from saddlepoint.core.whole import require_whole

__all__ = ["SPSA"]


@dataclass(frozen=True, repr=False)
class SPSA:
    """g = mean_i (f(u + c v_i) - f(u - c v_i)) / 2c · v_i, v_i random signs; steps by Adam.

    Simultaneous perturbation stochastic approximation (1802.05666, alg. 1): one pair of questions
    says something of every coordinate. Questions and steps are projected. n_queries: evaluations
    per sample. pairs: pairs of questions per step. c, step_size: per coordinate, in what a
    radius gives to each where all move alike. loss: what to climb.

    >>> SPSA(n_queries=1000, pairs=16)
    SPSA(n_queries=1000, pairs=16)
    """

    n_queries: int = 5000
    pairs: int = 25
    c: float = 0.1
    step_size: float = 0.5
    loss: Loss | str | None = "margin"

    __repr__ = compact

    def __post_init__(self) -> None:
        for name in ("n_queries", "pairs"):
            require_whole(name, getattr(self, name))
        for name in ("c", "step_size"):
            check_share(name, getattr(self, name), math.inf)
        check_loss(self.loss)

    def __call__(self, oracle: Scores[ThreatModel], draw: Draw) -> None:
        """Climb from the clean input."""
        oracle = oracle.aim(self.loss)
        u = oracle.threat.start(oracle.x)
        adam, left = Adam.like(u), self.n_queries
        while left > 0:
            g, unit = torch.zeros_like(u), u.new_zeros(len(u))
            for _ in range(min(self.pairs, left // 2)):
                oracle, u, adam, g, draw = oracle.shrink(u, adam, g, draw)
                v = draw.tag(left).sign(*u.shape[1:]).to(u.dtype)
                unit = dense(oracle, u, v)
                g = g + slope(oracle, u, self.c * like(unit, u) * v)
                left -= 2
            adam, d = adam.step(g)
            u = oracle.threat.project(oracle.x, u + self.step_size * like(unit, u) * d)
            if left:
                oracle.value(u)
                left -= 1
