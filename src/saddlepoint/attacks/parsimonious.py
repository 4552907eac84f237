"""Parsimonious search: which blocks of a corner of the set to turn, by lazy greedy local search."""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from saddlepoint.attacks.blocks import cells, split
from saddlepoint.attacks.corners import corner, real
from saddlepoint.core.access import Scores
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid
from saddlepoint.core.loss import Loss, check_loss
from saddlepoint.core.shapes import INF, flat, put
from saddlepoint.core.spec import compact
from saddlepoint.core.threat import ThreatModel
from saddlepoint.core.whole import require_whole

__all__ = ["Parsimonious"]


@dataclass(frozen=True)
class _Levels:
    """Blocks of all sizes, coarse to fine. M: the number of the smallest, D: of coordinates."""

    block: Tensor  # (L, D) the block of each coordinate
    first: Tensor  # (L, M) a coordinate of each block
    count: Tensor  # (L,) how many blocks there are

    @classmethod
    def of(cls, u: Tensor, share: float) -> "_Levels":
        """Sides of ``share`` of the longest axis, then halves of it down to one."""
        side = max(1, math.ceil(share * max([1, *split(u)[1]])))
        sides = [side]
        while sides[-1] > 1:
            sides.append((sides[-1] + 1) // 2)
        block = torch.stack([cells(u, s) for s in sides])
        place = torch.arange(block.shape[1], device=u.device).expand_as(block)
        first = torch.zeros_like(block).scatter(1, block, place)
        return cls(block, first, block.amax(1) + 1)


@dataclass(frozen=True)
class _State:
    """One row each: the corner, and the queue of the blocks of one group that might be turned."""

    sign: Tensor  # (B, D)
    best: Tensor  # (B,) the loss there
    level: Tensor  # (B,) which size of blocks
    group: Tensor  # (B,) which blocks of that size
    adding: Tensor  # (B,) bool: turning minus into plus, or back
    rank: Tensor  # (B, M) a random order of the blocks, infinite for those that do not exist
    bound: Tensor  # (B, M) what a turn is thought to gain at most; infinite before it is known
    fresh: Tensor  # (B, M) bool: whether that is known of the present corner
    turns: Tensor  # (B,) how often a size began

    def __getitem__(self, keep: Tensor) -> "_State":
        return _State(*(p[keep] for p in vars(self).values()))


@dataclass(frozen=True, repr=False)
class Parsimonious:
    """Maximise f(corner(s)) over signs s of blocks: lazy greedy insertion, then deletion.

    Parsimonious black-box attack (1905.06635, alg. 1 to 3). Blocks are squares over the last two
    axes of u (intervals where it has one), of every channel by itself, taken in random groups. Of a
    group, those at minus whose turn gains most are turned first, then those at plus are turned back
    in the same manner. A gain measured earlier counts as a bound, so that most blocks are asked
    about once. After the last group blocks are split in halves along each axis. Every point asked
    about is a corner of the set: eps s in the L_inf ball. n_queries: evaluations per sample. block:
    side of the first blocks, as a share of the longest axis. group: blocks at once. loss: what to
    climb.

    >>> Parsimonious(n_queries=1000)
    Parsimonious(n_queries=1000)
    """

    n_queries: int = 5000
    block: float = 1 / 8
    group: int = 16
    loss: Loss | str | None = "margin"

    __repr__ = compact

    def __post_init__(self) -> None:
        for name in ("n_queries", "group"):
            require_whole(name, getattr(self, name))
        if not 0 < self.block <= 1:
            raise Invalid("block", self.block, "a share of an axis in (0, 1]")
        check_loss(self.loss)

    def __call__(self, oracle: Scores[ThreatModel], draw: Draw) -> None:
        """Start where all signs are minus."""
        oracle = oracle.aim(self.loss)
        start = oracle.threat.start(oracle.x)
        levels, shape = _Levels.of(start, self.block), start.shape[1:]
        sign = -torch.ones_like(flat(start))
        best = oracle.value(corner(oracle, sign.view_as(start))).nan_to_num(0, 0, 0)
        s = self._begin(sign, best, levels, draw)
        for _ in range(1, self.n_queries):
            oracle, s, draw = oracle.shrink(s, draw)
            s = self._advance(s, levels, draw)
            chosen = _top(s)
            new = _turned(s, levels, chosen)
            value = oracle.value(corner(oracle, new.view(-1, *shape)))
            s = _settle(_note(s, chosen, value), levels)

    def _begin(self, sign: Tensor, best: Tensor, levels: _Levels, draw: Draw) -> _State:
        zero = torch.zeros(len(sign), dtype=torch.int64, device=sign.device)
        rank = _rank(levels, draw, zero, zero)
        nothing = torch.zeros_like(rank, dtype=torch.bool)
        adding = torch.ones_like(zero, dtype=torch.bool)
        s = _State(sign, best, zero, zero, adding, rank, -rank, nothing, zero)
        return replace(s, bound=self._queue(s, levels))

    def _advance(self, s: _State, levels: _Levels, draw: Draw) -> _State:
        """Move rows on whose queue promises nothing: to deletion, the next group, the next size."""
        while bool((over := _over(s)).any()):
            group = s.group + (over & ~s.adding)
            finer = group * self.group >= levels.count[s.level]
            level = (s.level + finer).clamp(max=len(levels.count) - 1)
            turns, rank = s.turns + finer, s.rank
            if bool(finer.any()):
                rank = put(finer, _rank(levels, draw, level, turns), rank)
            s = replace(
                s,
                level=level,
                group=group.masked_fill(finer, 0),
                adding=s.adding ^ over,
                rank=rank,
                turns=turns,
                fresh=s.fresh & ~over[:, None],
            )
            s = replace(s, bound=put(over, self._queue(s, levels), s.bound))
        return s

    def _queue(self, s: _State, levels: _Levels) -> Tensor:
        """(B, M) infinite for the blocks of the group that can be turned, minus infinity else."""
        plus = s.sign.gather(1, levels.first[s.level]) > 0
        here = (s.rank >= (s.group * self.group)[:, None]) & (
            s.rank < ((s.group + 1) * self.group)[:, None]
        )
        wanted = here & (plus ^ s.adding[:, None])
        return torch.where(wanted, INF, -INF).to(s.sign.dtype)


def _rank(levels: _Levels, draw: Draw, level: Tensor, turns: Tensor) -> Tensor:
    """(B, M) a random order of the blocks of each row's own size."""
    most = levels.first.shape[1]
    chance = draw.tag("rank").each(turns).uniform(most)
    missing = torch.arange(most, device=level.device) >= levels.count[level][:, None]
    order = chance.masked_fill(missing, 2.0).argsort(1).argsort(1).to(torch.float32)
    return order.masked_fill(missing, INF)


def _top(s: _State) -> Tensor:
    """(B,) the block with the largest bound; of those not asked about yet, the first in order."""
    unknown = s.bound == INF
    key = torch.where(unknown.any(1, keepdim=True), (-s.rank).where(unknown, -INF), s.bound)
    return key.argmax(1)


def _over(s: _State) -> Tensor:
    """(B,) bool: whether the queue promises nothing."""
    return ~real(s.bound.amax(1), s.best)


def _turned(s: _State, levels: _Levels, chosen: Tensor) -> Tensor:
    """(B, D) signs with one block turned."""
    return torch.where(levels.block[s.level] == chosen[:, None], -s.sign, s.sign)


def _note(s: _State, chosen: Tensor, value: Tensor) -> _State:
    """Write down what a turn gains."""
    at = chosen[:, None]
    gain = (value - s.best).nan_to_num(-1, -1, -1).to(s.bound.dtype)[:, None]
    return replace(s, bound=s.bound.scatter(1, at, gain), fresh=s.fresh.scatter(1, at, True))


def _settle(s: _State, levels: _Levels) -> _State:
    """Turn the block with the largest bound where that is what it gains now."""
    chosen = _top(s)
    at = chosen[:, None]
    gain = s.bound.gather(1, at)[:, 0]
    taken = s.fresh.gather(1, at)[:, 0] & real(gain, s.best)
    gone = s.bound.scatter(1, at, -INF)
    return replace(
        s,
        sign=put(taken, _turned(s, levels, chosen), s.sign),
        best=torch.where(taken, s.best + gain, s.best),
        bound=put(taken, gone, s.bound),
        fresh=s.fresh & ~taken[:, None],
    )
