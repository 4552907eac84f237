"""One-pixel attack: differential evolution over where to change the input and into what."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from saddlepoint.attacks.anneal import check_share
from saddlepoint.attacks.places import Places, ends
from saddlepoint.core.access import Scores
from saddlepoint.core.draw import Draw
from saddlepoint.core.loss import Loss, check_loss
from saddlepoint.core.spec import compact
from saddlepoint.core.whole import require_whole

__all__ = ["OnePixel"]


@dataclass(frozen=True, repr=False)
class OnePixel:
    """c' = c_i + weight (c_j - c_k) of three random candidates; keep what is no worse (1710.08864).

    A candidate is, for each of ``places`` places, its coordinates and its new values, all from 0 to
    1: a place is a pixel in ``L0(eps, per="pixel")``, and a value without. The new one replaces the
    candidate of its own number at once. First come uniform places with values normal about the
    middle, half the range wide, cut to it (§III-C). ``population`` times ``generations`` + 1
    questions per sample. loss: what to climb. A set that allows fewer places keeps those that count
    most. Needs an L_0 set, and scores only.

    >>> OnePixel(population=40, generations=10)
    OnePixel(population=40, generations=10)
    """

    places: int = 1
    population: int = 400
    generations: int = 100
    weight: float = 0.5
    loss: Loss | str = "margin"

    __repr__ = compact

    def __post_init__(self) -> None:
        for name in ("places", "generations"):
            require_whole(name, getattr(self, name))
        require_whole("population", self.population, 4)
        check_share("weight", self.weight, 2)
        check_loss(self.loss)

    def __call__(self, oracle: Scores[Places], draw: Draw) -> None:
        """Evolve one population."""
        oracle = oracle.aim(self.loss)
        pool = self._first(oracle, draw)
        fit = torch.stack([oracle.value(_member(oracle, c)) for c in pool.unbind(1)], 1)
        number = torch.arange(self.population, device=fit.device)
        for generation in range(self.generations):
            three = _others(draw.tag("parents", generation), self.population)
            for i in range(self.population):
                oracle, pool, fit, three, draw = oracle.shrink(pool, fit, three, draw)
                a, b, c = (_pick(pool, three[:, i, j]) for j in range(3))
                new = (a + self.weight * (b - c)).clamp(0, 1)
                value = oracle.value(_member(oracle, new))
                better = (value >= fit[:, i])[:, None] & (number == i)
                pool = torch.where(better[..., None, None], new[:, None], pool)
                fit = torch.where(better, value[:, None], fit)

    def _first(self, oracle: Scores[Places], draw: Draw) -> Tensor:
        """(B, population, places, axes + values): the candidates to begin with."""
        axes, within = _layout(oracle)
        shape = (self.population, self.places)
        where = draw.tag("where").uniform(*shape, len(axes))
        what = draw.tag("what").normal(*shape, math.prod(within)) / 2 + 0.5
        return torch.cat([where, what.clamp(0, 1)], 3).to(oracle.x.dtype)


def _layout(oracle: Scores[Places]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Lengths of the axes that places lie on, and of those within a place."""
    x = oracle.x[:1]
    axes = tuple(oracle.threat.gather(x).shape[1:])
    return axes, tuple(x.shape[1 : x.dim() - len(axes)])


def _member(oracle: Scores[Places], candidate: Tensor) -> Tensor:
    """(B, *P) what a candidate (B, places, axes + values) does; a later place overrules."""
    threat, x = oracle.threat, oracle.x
    axes, within = _layout(oracle)
    low, high = ends(threat, x)
    u = threat.start(x)
    for place in candidate.unbind(1):
        site = torch.zeros(len(x), dtype=torch.int64, device=x.device)
        for i, length in enumerate(axes):
            site = site * length + (place[:, i] * length).to(torch.int64).clamp(max=length - 1)
        here = torch.zeros(len(x), math.prod(axes), dtype=torch.bool, device=x.device)
        here = here.scatter_(1, site[:, None], True).view(-1, *axes)
        share = place[:, len(axes) :].reshape(-1, *within, *[1] * len(axes))
        u = torch.where(threat.spread(here, x), low + share * (high - low), u)
    return threat.project(x, u)


def _pick(pool: Tensor, number: Tensor) -> Tensor:
    """(B, places, …) the candidate of each row's own number (B,)."""
    return pool[torch.arange(len(pool), device=pool.device), number]


def _others(draw: Draw, n: int) -> Tensor:
    """(B, n, 3) for each of n candidates three different others."""
    a, b, c = (draw.tag(j).integers(n - 1 - j, n) for j in range(3))
    b = b + (b >= a)
    c = c + (c >= torch.minimum(a, b))
    c = c + (c >= torch.maximum(a, b))
    return (torch.arange(n, device=a.device)[:, None] + 1 + torch.stack([a, b, c], 2)) % n
