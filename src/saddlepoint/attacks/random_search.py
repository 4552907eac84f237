"""Random search: needs scores only, and of the set only its verbs."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from saddlepoint.core.access import Scores
from saddlepoint.core.draw import Draw
from saddlepoint.core.loss import Loss, check_loss
from saddlepoint.core.shapes import dot, like, put
from saddlepoint.core.spec import compact
from saddlepoint.core.threat import ThreatModel
from saddlepoint.core.whole import require_whole

__all__ = ["RandomSearch"]


@dataclass(frozen=True, repr=False)
class RandomSearch:
    """Random moves, each of which also teaches a linear model of the loss; keep what helps.

    Odd queries explore: u' = project(u + r · steepest(n · mask)) with n normal, the share of free
    coordinates and the length r drawn log-uniformly, so that no schedule has to be tuned to the set
    or to the number of queries. Every answer corrects an estimate m of the gradient by a step of
    Kaczmarz, m += (Δ - <m, d>) d / ||d||^2 for the move d that changed the loss by Δ. Even queries
    exploit it: u' = project(u + r · steepest(m)). On a linear model m approaches the gradient as
    (1 - 1/D)^k in D dimensions (Strohmer, Vershynin 2009). n_queries: evaluations per sample. loss:
    what to climb.

    >>> RandomSearch(n_queries=100)
    RandomSearch(n_queries=100)
    """

    n_queries: int = 5000
    loss: Loss | str | None = None

    __repr__ = compact

    def __post_init__(self) -> None:
        require_whole("n_queries", self.n_queries)
        check_loss(self.loss)

    def __call__(self, oracle: Scores[ThreatModel], draw: Draw) -> None:
        """Climb from one random start."""
        oracle = oracle.aim(self.loss)
        u = oracle.threat.sample(oracle.x, draw)
        best, m = oracle.value(u), torch.zeros_like(u)
        for k in range(1, self.n_queries):
            oracle, u, best, m, draw = oracle.shrink(u, best, m, draw)
            now = draw.tag(k)
            g = _sparse_noise(u, now) if k % 2 else m
            step = oracle.threat.steepest(oracle.x, u, g) * like(_reach(now).to(u.dtype), u)
            new = oracle.threat.project(oracle.x, u + step)
            value = oracle.value(new)
            m = _learn(m, new - u, value - best)
            better = value >= best
            u, best = put(better, new, u), torch.where(better, value, best)


def _reach(draw: Draw) -> Tensor:
    """(B,) length of a move in radii, log-uniform from 4 down to 0.001."""
    return 4 * torch.exp(-draw.tag("reach").uniform(1) * math.log(4000))[:, 0]


def _sparse_noise(u: Tensor, draw: Draw) -> Tensor:
    """Normal noise on a random share of the coordinates, log-uniform from all down to one."""
    n = u[0].numel()
    where = draw.tag("where").uniform(n)
    share = torch.exp(-draw.tag("share").uniform(1) * math.log(n))
    mask = where <= torch.maximum(share, where.amin(1, keepdim=True))
    return torch.where(mask, draw.tag("noise").normal(n), 0).to(u.dtype).view_as(u)


def _learn(m: Tensor, d: Tensor, gain: Tensor) -> Tensor:
    """Kaczmarz: the nearest m that explains the observed gain along d."""
    size = dot(d, d)
    miss = (gain - dot(m, d)) / size.masked_fill(size == 0, 1)
    return m + d * like(miss.nan_to_num(0, 0, 0).to(d.dtype), d)
