"""A coarse grid, then ever finer looks around its worst points: the worst case of a small set."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from saddlepoint.attacks.grid import check_counts, lattice, of_axes
from saddlepoint.core.access import Scores
from saddlepoint.core.draw import Draw
from saddlepoint.core.loss import Loss, check_loss
from saddlepoint.core.spec import compact
from saddlepoint.core.threat import Gridded
from saddlepoint.core.whole import require_whole

__all__ = ["Refine", "coarser"]

_COARSE = 256


@dataclass(frozen=True, repr=False)
class Refine:
    """Search a coarse grid; then look around the ``keep`` worst points, closer and closer.

    In each of ``rounds`` every point kept is moved up and down along each parameter in turn, by
    half of the last spacing: the result lies on a grid 2^rounds times as fine. counts: points of
    the coarse grid along each parameter; None thins the set's own to 256 in all. A peak between its
    points that is not seen from there is missed: more points, or more that are kept, see more.
    loss: what is climbed; None takes the search's.

    >>> Refine(rounds=3)
    Refine(rounds=3)
    """

    counts: tuple[int, ...] | None = None
    rounds: int = 4
    keep: int = 6
    loss: Loss | str | None = "margin"

    __repr__ = compact

    def __post_init__(self) -> None:
        check_counts(self.counts)
        require_whole("rounds", self.rounds)
        require_whole("keep", self.keep)
        check_loss(self.loss)

    def passes(self, threat: Gridded) -> int:
        """Return how many questions a sample that survives them meets."""
        coarse = self._coarse(threat)
        return math.prod(coarse) + 2 * self.rounds * self.keep * sum(n > 1 for n in coarse)

    def _coarse(self, threat: Gridded) -> tuple[int, ...]:
        return of_axes(coarser(threat.counts) if self.counts is None else self.counts, threat)

    def __call__(self, oracle: Scores[Gridded], draw: Draw) -> None:
        """Ask about the coarse grid, then around the worst points."""
        oracle = oracle.aim(self.loss)
        counts = self._coarse(oracle.threat)
        best = oracle.x.new_full((len(oracle.x), self.keep), -torch.inf)
        where = best.new_full((*best.shape, len(counts)), 2.0)  # no place yet
        for t in lattice(counts).to(best):
            oracle, best, where = oracle.shrink(best, where, at=1.0)
            best, where = _ask(oracle, best, where, t.expand(len(best), -1))
        for k in range(1, self.rounds + 1):
            for axis, n in enumerate(counts):
                if n > 1:
                    step = 1 / (n - 1) / 2**k
                    oracle, best, where = _move(oracle, best, where, axis, step)


def coarser(counts: tuple[int, ...]) -> tuple[int, ...]:
    """Halve the longest axis until the grid has 256 points at most; the middle stays a point.

    >>> coarser((31, 5, 5)), coarser((5, 5, 5, 5, 5)), coarser((9,))
    ((7, 5, 5), (3, 3, 3, 3, 3), (9,))
    """
    least = list(counts)
    while math.prod(least) > _COARSE and max(least) > 3:
        longest = least.index(max(least))
        least[longest] = (least[longest] // 2) | 1
    return tuple(least)


def _move(oracle: Any, best: Tensor, where: Tensor, axis: int, step: float) -> tuple[Any, ...]:  # noqa: ANN401
    """Ask about every point kept, moved up and down along one parameter."""
    parents = where
    for i in range(where.shape[1]):
        for way in (step, -step):
            oracle, best, where, parents = oracle.shrink(best, where, parents, at=1.0)
            t = parents[:, i].clone()
            t[:, axis] += way
            best, where = _ask(oracle, best, where, t.clamp(0, 1))
    return oracle, best, where


def _ask(oracle: Any, best: Tensor, where: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ANN401
    """Keep t (B, k) among the best where it is new, and beats the last of them.

    best: (B, K) losses, where: (B, K, k) their places, worst first.
    """
    value = oracle.value(oracle.threat.place(oracle.x, t))
    known = ((where - t[:, None]).abs() < 1e-6).all(2).any(1)
    value = torch.where(known | value.isnan(), -torch.inf, value)
    everything = torch.cat([best, value[:, None].to(best)], 1)
    places = torch.cat([where, t[:, None]], 1)
    order = everything.argsort(dim=1, descending=True, stable=True)[:, :-1]
    chosen = order[:, :, None].expand(-1, -1, t.shape[1])
    return everything.gather(1, order), places.gather(1, chosen)
