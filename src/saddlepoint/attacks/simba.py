"""SimBA: one direction of an orthonormal basis after another, both ways, keep what helps."""

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from torch import Tensor

from saddlepoint.attacks.anneal import check_share
from saddlepoint.attacks.blocks import split
from saddlepoint.attacks.differences import apart
from saddlepoint.core.access import Scores
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid
from saddlepoint.core.loss import Loss, check_loss
from saddlepoint.core.shapes import flat, like, put
from saddlepoint.core.spec import compact
from saddlepoint.core.threat import ThreatModel
from saddlepoint.core.whole import require_whole

__all__ = ["SimBA"]

Basis = Literal["pixel", "dct"]


@dataclass(frozen=True)
class _State:
    """Where each row is, and which direction comes next."""

    u: Tensor
    best: Tensor
    order: Tensor  # (B, K) directions in the order of this round
    at: Tensor  # (B,) place in it
    sign: Tensor  # (B,) the way that comes next
    turn: Tensor  # (B,) how many rounds are over

    def __getitem__(self, keep: Tensor) -> "_State":
        parts = (self.u, self.best, self.order, self.at, self.sign, self.turn)
        return _State(*(p[keep] for p in parts))


@dataclass(frozen=True, repr=False)
class SimBA:
    """u' = project(u ± step · steepest(q)) for each vector q of a basis in random order.

    Simple black-box attack (1905.07121, alg. 1): gains are kept. The way back is asked about only
    where the way ahead gains nothing, the way ahead only where the set allows a move. After the
    last vector a new round begins. n_queries: evaluations per sample. basis: "pixel", single
    coordinates, or "dct", cosines over the last two axes of u with frequencies up to a share
    ``low`` of each. step_size: in radii; None takes 2 in sets in which coordinates do not compete,
    such as boxes, where that crosses the set, and 0.1 in others. loss: what to climb.

    >>> SimBA(n_queries=1000, basis="dct")
    SimBA(n_queries=1000, basis='dct')
    """

    n_queries: int = 5000
    basis: Basis = "pixel"
    low: float = 0.5
    step_size: float | None = None
    loss: Loss | str | None = "margin"

    __repr__ = compact

    def __post_init__(self) -> None:
        require_whole("n_queries", self.n_queries)
        if self.basis not in get_args(Basis):
            raise Invalid("basis", self.basis, "'pixel' or 'dct'")
        if not 0 < self.low <= 1:
            raise Invalid("low", self.low, "a share of the frequencies in (0, 1]")
        if self.step_size is not None:
            check_share("step_size", self.step_size, math.inf)
        check_loss(self.loss)

    def __call__(self, oracle: Scores[ThreatModel], draw: Draw) -> None:
        """Climb from the clean input."""
        oracle = oracle.aim(self.loss)
        u = oracle.threat.start(oracle.x)
        basis = _pixels(u) if self.basis == "pixel" else _cosines(u, self.low)
        zero = torch.zeros(len(u), dtype=torch.int64, device=u.device)
        order = _order(draw, zero, basis.count)
        s = _State(u, oracle.value(u), order, zero, u.new_ones(len(u)), zero)
        step = self._reach(oracle, u, draw)
        for _ in range(1, self.n_queries):
            oracle, s, step, draw = oracle.shrink(s, step, draw)
            s, new = _propose(oracle, s, step, basis)
            s = _next(s, new, oracle.value(new), draw)

    def _reach(self, oracle: Scores[ThreatModel], u: Tensor, draw: Draw) -> Tensor:
        """(B,) length of a step in radii."""
        if self.step_size is not None:
            return u.new_full((len(u),), self.step_size)
        free = apart(oracle, u, draw.tag("apart").normal(*u.shape[1:]).to(u.dtype))
        return torch.where(free, 2.0, 0.1).to(u.dtype)


@dataclass(frozen=True)
class _Basis:
    """``count`` directions; ``of`` gives those of the numbers (B,), as (B, *P)."""

    count: int
    rows: tuple[Tensor, ...]  # of a product basis: one matrix for each axis
    shape: tuple[int, ...]

    def of(self, number: Tensor) -> Tensor:
        """Outer products of one row of each matrix."""
        out = self.rows[0].new_ones(len(number), 1)
        for matrix in reversed(self.rows):
            row = matrix[number % len(matrix)]
            out = (row[:, :, None] * out[:, None, :]).flatten(1)
            number = number // len(matrix)
        return out.view(-1, *self.shape)


def _pixels(u: Tensor) -> _Basis:
    dims = flat(u).shape[1]
    return _Basis(dims, (torch.eye(dims, dtype=u.dtype, device=u.device),), tuple(u.shape[1:]))


def _cosines(u: Tensor, low: float) -> _Basis:
    """Rows of the orthonormal DCT-II over the last two axes, of low frequencies only."""
    channels, axes = split(u)
    rows = [torch.eye(math.prod(channels), dtype=torch.float64)]
    for length in axes:
        k = torch.arange(max(1, round(low * length)), dtype=torch.float64)[:, None]
        at = (torch.arange(length, dtype=torch.float64) + 0.5) / length
        scale = ((2 - (k == 0).double()) / length).sqrt()
        rows.append(scale * (math.pi * k * at).cos())
    parts = tuple(r.to(u) for r in rows)
    return _Basis(math.prod(len(r) for r in parts), parts, tuple(u.shape[1:]))


def _order(draw: Draw, turn: Tensor, count: int) -> Tensor:
    """(B, count) a random order for each row's own round."""
    return draw.tag("order").each(turn).uniform(count).argsort(1)


def _move(oracle: Scores[ThreatModel], s: _State, step: Tensor, q: Tensor) -> Tensor:
    d = oracle.threat.steepest(oracle.x, s.u, q * like(s.sign, q))
    return oracle.threat.project(oracle.x, s.u + d * like(step, d))


def _propose(
    oracle: Scores[ThreatModel], s: _State, step: Tensor, basis: _Basis
) -> tuple[_State, Tensor]:
    """The next point of each row; back at once where ahead the set ends."""
    q = basis.of(s.order.gather(1, s.at[:, None])[:, 0])
    new = _move(oracle, s, step, q)
    stuck = (s.sign > 0) & (flat(new) == flat(s.u)).all(1)
    if not bool(stuck.any()):
        return s, new
    s = replace(s, sign=torch.where(stuck, -s.sign, s.sign))
    return s, put(stuck, _move(oracle, s, step, q), new)


def _next(s: _State, new: Tensor, value: Tensor, draw: Draw) -> _State:
    """Keep gains; go back where ahead was none, and on to the next direction otherwise."""
    better = value > s.best
    done = better | (s.sign < 0)
    at, sign = s.at + done, torch.where(done, 1.0, -1.0).to(s.sign.dtype)
    order, turn, over = s.order, s.turn, at >= s.order.shape[1]
    if bool(over.any()):
        turn, at = turn + over, at.masked_fill(over, 0)
        order = put(over, _order(draw, turn, order.shape[1]), order)
    u, best = put(better, new, s.u), torch.where(better, value, s.best)
    return _State(u, best, order, at, sign, turn)
