"""A ladder being climbed, and the ranking of samples by how near they came to breaking."""

from typing import Any

import numpy as np

from saddlepoint.audit.evidence import Evidence, Round
from saddlepoint.audit.ladder import HALF, Ladder
from saddlepoint.audit.plan import Move
from saddlepoint.core.ledger import Status

__all__ = ["Climb", "Ranking", "price"]

Array = np.ndarray[Any, Any]


class Ranking:
    """The worst margin seen of each sample, and which are unbroken."""

    def __init__(self, n: int) -> None:
        self.margin = np.full(n, -np.inf, dtype=np.float32)
        self.open = np.ones(n, dtype=np.bool_)

    def observe(self, r: Round, told: bool = True) -> None:
        """Learn from a finished round; told: whether the adversary knows its margins."""
        if told:
            self.margin[r.rows] = np.fmax(self.margin[r.rows], r.margin)
        self.open[r.where(Status.BROKEN)] = False

    def rows(self, most: int | None = None, among: Array | None = None) -> Array:
        """Unbroken samples, or the ``most`` vulnerable of them, in order of number."""
        rows = np.flatnonzero(self.open) if among is None else among[self.open[among]]
        if most is None or most >= len(rows):
            return rows
        order = np.argsort(-self.margin[rows], kind="stable")
        return np.sort(rows[order[:most]])


class Climb:
    """A ladder over all samples: how far up each has come, and who goes on.

    A cycle spends its share in rungs: new samples meet the first, and of those that have met rung k
    and no more, the most vulnerable go on, half as many on each rung. Later cycles so widen the
    ladder, and raise who was left behind, instead of asking the same samples the same again.
    """

    def __init__(self, ladder: Ladder, n: int) -> None:
        self.ladder = ladder
        self.passes = np.array(ladder.passes, dtype=np.float64)  # as declared, or seen to be more
        self.level = np.zeros(n, dtype=np.int8)  # rungs met
        self.rung, self.width = len(ladder.rungs), 0.0
        self.price = self.broken = 0.0  # of this cycle
        self.seen = 0

    def meet(self, rows: Array) -> None:
        """Note that these samples have met the first rung."""
        self.level[rows] = 1

    def begin(self, passes: float, ranking: Ranking) -> bool:
        """Start a cycle with so many passes; False where they reach for no sample."""
        halved = HALF ** np.arange(len(self.passes))
        self.rung, self.width = 0, passes / float(self.passes @ halved)
        self.price = self.broken = 0.0
        if not (ranking.open & (self.level < len(self.ladder.rungs))).any():
            self.level[:] = 0  # everyone is at the top: again, with other random numbers
        return self.width >= 1

    def next(self, e: Evidence, ranking: Ranking, left: float) -> Move | None:
        """Return the next rung and its rows, or None when the cycle is done."""
        self._account(e)
        while self.rung < len(self.ladder.rungs):
            rung, self.rung = self.rung, self.rung + 1
            count = max(round(self.width * HALF**rung), 1)
            count = min(count, int(max(left, 0) / self.passes[rung]))
            waiting = np.flatnonzero(ranking.open & (self.level == rung))
            rows = ranking.rows(count, waiting)
            if len(rows):
                self.level[rows] = rung + 1
                self.seen = len(e.rounds)
                return Move(self.ladder.rungs[rung], "attack", rows)
        return None

    def _account(self, e: Evidence) -> None:
        """Add what the last rung has cost and broken."""
        if self.seen and len(e.rounds) > self.seen:
            r = e.rounds[self.seen]
            most = int((r.forward + r.backward).max())
            self.passes[self.rung - 1] = max(self.passes[self.rung - 1], most)
            self.price += price(r)
            self.broken += len(r.where(Status.BROKEN))
        self.seen = 0


def price(r: Round) -> float:
    """Time of a round in forward passes: a backward pass takes about as long as two."""
    return float(r.forward.sum(dtype=np.int64) + 2 * r.backward.sum(dtype=np.int64))
