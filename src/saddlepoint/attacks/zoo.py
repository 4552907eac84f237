"""ZOO: finite differences along single coordinates, and a step for each that was looked at."""

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from torch import Tensor

from saddlepoint.attacks.anneal import check_share
from saddlepoint.attacks.differences import dense
from saddlepoint.core.access import Scores
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid
from saddlepoint.core.loss import Loss, check_loss
from saddlepoint.core.shapes import flat
from saddlepoint.core.spec import compact
from saddlepoint.core.threat import ThreatModel
from saddlepoint.core.whole import require_whole

__all__ = ["ZOO"]

Solver = Literal["adam", "newton"]
_FIRST, _SECOND, _LEAST = 0.9, 0.999, 1e-12


@dataclass(frozen=True)
class _Walk:
    """Where each row is, and Adam's running means per coordinate, (B, D) each."""

    u: Tensor
    mean: Tensor
    square: Tensor
    count: Tensor  # how often each coordinate had its turn

    def __getitem__(self, keep: Tensor) -> "_Walk":
        return _Walk(self.u[keep], self.mean[keep], self.square[keep], self.count[keep])


@dataclass(frozen=True, repr=False)
class ZOO:
    """g_i = (f(u + h e_i) - f(u - h e_i)) / 2h for some i, then a step along those i.

    Zeroth order optimisation by stochastic coordinates (1708.03999, §3.4, alg. 2 and 3). The paper
    adds the size of u to the loss and searches the constant of that price; here the set is given,
    so u is projected instead and no constant has to be found. n_queries: evaluations per sample.
    coordinates: how many are asked about, two questions each, before a step; one more goes
    to the centre. h, step_size: per coordinate, in what a radius gives to each where all move
    alike. solver: "adam", with a memory for each coordinate, or "newton", which divides by the
    curvature that the same questions show. loss: what to climb.

    >>> ZOO(n_queries=1000, solver="newton")
    ZOO(n_queries=1000, solver='newton')
    """

    n_queries: int = 5000
    coordinates: int = 32
    h: float = 0.1
    step_size: float = 1.0
    solver: Solver = "adam"
    loss: Loss | str | None = "margin"

    __repr__ = compact

    def __post_init__(self) -> None:
        for name in ("n_queries", "coordinates"):
            require_whole(name, getattr(self, name))
        for name in ("h", "step_size"):
            check_share(name, getattr(self, name), math.inf)
        if self.solver not in get_args(Solver):
            raise Invalid("solver", self.solver, "'adam' or 'newton'")
        check_loss(self.loss)

    def __call__(self, oracle: Scores[ThreatModel], draw: Draw) -> None:
        """Climb from the clean input; every coordinate has its turn before any has a second."""
        oracle = oracle.aim(self.loss)
        u = oracle.threat.start(oracle.x)
        zero = torch.zeros_like(flat(u))
        walk, left, turn, dims = _Walk(u, zero, zero, zero), self.n_queries, 0, zero.shape[1]
        while left > 0:
            oracle, walk, draw = oracle.shrink(walk, draw)
            order = draw.tag("order", turn // dims).uniform(dims).argsort(1)
            first, count = turn % dims, min(self.coordinates, (left - 1) // 2)
            chosen = order[:, first : first + count]
            oracle, walk, draw = self._step(oracle, walk, draw, chosen)
            left, turn = left - 1 - 2 * chosen.shape[1], turn + chosen.shape[1]

    def _step(
        self, oracle: Scores[ThreatModel], walk: _Walk, draw: Draw, chosen: Tensor
    ) -> tuple[Scores[ThreatModel], _Walk, Draw]:
        """Ask along the chosen coordinates, (B, k), and move them."""
        unit = dense(oracle, walk.u, torch.ones_like(walk.u))[:, None]
        middle, g = oracle.value(walk.u), torch.zeros_like(chosen, dtype=walk.u.dtype)
        bend = torch.zeros_like(g)
        for k in range(chosen.shape[1]):
            oracle, walk, draw, chosen, unit, middle, g, bend = oracle.shrink(
                walk, draw, chosen, unit, middle, g, bend
            )
            g[:, k], bend[:, k] = _look(oracle, walk.u, chosen[:, k], self.h * unit, middle)
        walk, d = _adam(walk, chosen, g)
        most = self.step_size * unit
        d = _newton(g, bend, most) if self.solver == "newton" else most * d
        step = torch.zeros_like(flat(walk.u)).scatter(1, chosen, d).view_as(walk.u)
        return oracle, replace(walk, u=oracle.threat.project(oracle.x, walk.u + step)), draw


def _look(
    oracle: Scores[ThreatModel], u: Tensor, at: Tensor, h: Tensor, middle: Tensor
) -> tuple[Tensor, Tensor]:
    """(B,) slope and curvature along coordinate ``at``; zero where the set leaves no room.

    Both points are projected: each may be a break, and none is outside the input range.
    """
    threat, x = oracle.threat, oracle.x
    step = torch.zeros_like(flat(u)).scatter(1, at[:, None], h).view_as(u)
    sides = threat.project(x, u + step), threat.project(x, u - step)
    up, down = ((flat(p) - flat(u)).gather(1, at[:, None])[:, 0].abs() for p in sides)
    rise, fall = (oracle.value(sides[0]) - middle), (middle - oracle.value(sides[1]))
    slope = _over(rise + fall, up + down)
    bend = 2 * _over(_over(rise, up) - _over(fall, down), up + down)
    return slope, torch.where((up > 0) & (down > 0), bend, 0)


def _over(a: Tensor, b: Tensor) -> Tensor:
    ratio: Tensor = torch.where(b > 0, a.to(b.dtype) / b.masked_fill(b == 0, 1), 0)
    return ratio.nan_to_num(0, 0, 0)


def _adam(walk: _Walk, chosen: Tensor, g: Tensor) -> tuple[_Walk, Tensor]:
    """Adam's direction (B, k) for the chosen coordinates, each with a memory of its own."""
    mean = _FIRST * walk.mean.gather(1, chosen) + (1 - _FIRST) * g
    square = _SECOND * walk.square.gather(1, chosen) + (1 - _SECOND) * g * g
    count = walk.count.gather(1, chosen) + 1
    size = (square / (1 - _SECOND**count)).sqrt() + _LEAST
    kept = replace(
        walk,
        mean=walk.mean.scatter(1, chosen, mean),
        square=walk.square.scatter(1, chosen, square),
        count=walk.count.scatter(1, chosen, count),
    )
    return kept, mean / (1 - _FIRST**count) / size


def _newton(g: Tensor, bend: Tensor, most: Tensor) -> Tensor:
    """To the top of the parabola where the loss bends down, and no further than ``most``."""
    downward = bend < -_LEAST
    top = g / -bend.where(downward, -torch.ones_like(bend))
    return torch.where(downward, top.clamp(-most, most), most * g.sign())
