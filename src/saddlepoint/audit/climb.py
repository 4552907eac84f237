"""A ladder being climbed, and the ranking of samples by how near they came to breaking."""

from typing import Any

import numpy as np

from saddlepoint.audit.evidence import Evidence, Round
from saddlepoint.audit.ladder import HALF, Ladder
from saddlepoint.audit.plan import Move
from saddlepoint.core.ledger import Status

__all__ = ["Climb", "Ranking", "price", "shares"]

Array = np.ndarray[Any, Any]
_EXPLORED = 0.05  # of a budget, whatever the rates
_GREED = 3  # power of a rate that a share goes by
_MEMORY = 0.5  # of what was seen in the cycles before
_PARTS, _FEW = 64, 32  # a batch below one of so many parts, or so many samples, is mostly overhead


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
    and no more, the most vulnerable go on. A rung gets more of it where its breaks have cost less:
    a ladder whose first rung breaks what it meets widens, one whose breaks take long runs rises.
    """

    def __init__(self, ladder: Ladder, n: int) -> None:
        height = len(ladder.rungs)
        self.ladder = ladder
        self.passes = np.array(ladder.passes, dtype=np.float64)  # as declared, or seen to be more
        self.level = np.zeros(n, dtype=np.int8)  # rungs met
        self.rung = height
        self.share = np.zeros(height)  # of the ladder's passes
        self.purse = np.zeros(height)  # passes that each rung may spend
        self.spent, self.broken = np.zeros(height), np.zeros(height)  # of late, by rung
        self.few = max(1, min(n // _PARTS, _FEW))  # samples that a rung waits to be paid for
        self.spare = 0.0  # passes that found nobody
        self.seen = 0

    def meet(self, rows: Array) -> None:
        """Note that these samples have met the first rung."""
        self.level[rows] = 1

    def learn(self, rung: int, broken: float, spent: float) -> None:
        """Take in what a rung has broken, and for how much."""
        self.broken[rung] += broken
        self.spent[rung] += spent

    def rate(self) -> float:
        """Breaks per pass, with half a break for what was not seen."""
        return float(_rate(self.broken.sum(), self.spent.sum()))

    def _rates(self) -> Array:
        """Of each rung; one that was not met yet promises as much as the rung below."""
        rates = _rate(self.broken, self.spent)
        for k in range(1, len(rates)):
            if not self.spent[k]:
                rates[k] = rates[k - 1]
        return rates

    def begin(self, ranking: Ranking) -> None:
        """Start a cycle: draw anew what each rung gets."""
        height = np.arange(len(self.passes))
        if not (ranking.open & (self.level < len(self.ladder.rungs))).any():
            self.level[:] = 0  # everyone is at the top: again, with other random numbers
        lowest = self.level[ranking.open].min(initial=len(height))
        met = height >= lowest  # nobody is left below
        self.share[:] = 0
        self.share[met] = shares(self._rates()[met], (self.passes * HALF**height)[met])
        self.rung = 0
        self.spent *= _MEMORY
        self.broken *= _MEMORY

    def fund(self, passes: float) -> None:
        """Give the rungs so many passes."""
        self.purse += passes * self.share

    def ready(self, ranking: Ranking, left: float) -> bool:
        """Whether a rung is paid for a batch of those that wait for it."""
        waiting = self._waiting(ranking)
        count = np.minimum(self.purse, left) // self.passes
        return bool(((waiting > 0) & (count >= np.minimum(self.few, waiting))).any())

    def _waiting(self, ranking: Ranking) -> Array:
        """How many samples have met the rungs below each, and no more."""
        met: Array = np.bincount(self.level[ranking.open], minlength=len(self.passes) + 1)
        return met[:-1]

    def next(self, e: Evidence, ranking: Ranking, left: float) -> Move | None:
        """Return the next rung and its rows, or None when the cycle is done."""
        self._account(e)
        move = self._sweep(ranking, left)
        if move is None and self.spare and self._hand_on(ranking):
            move = self._sweep(ranking, left)
        if move is not None:
            self.seen = len(e.rounds)
        return move

    def _hand_on(self, ranking: Ranking) -> bool:
        """Give what found nobody to the best rung that somebody waits for; False without one."""
        waiting = self._waiting(ranking)
        best = int(np.argmax(np.where(waiting > 0, self._rates(), -1.0)))
        self.purse[best], self.spare = self.purse[best] + self.spare, 0.0
        self.rung = best
        return bool(waiting[best])

    def _sweep(self, ranking: Ranking, left: float) -> Move | None:
        """Return the next rung upwards that is paid for a batch."""
        while self.rung < len(self.ladder.rungs):
            rung, self.rung = self.rung, self.rung + 1
            cost = self.passes[rung]
            count = int(min(self.purse[rung], max(left, 0)) / cost)
            waiting = np.flatnonzero(ranking.open & (self.level == rung))
            rows = ranking.rows(count, waiting)
            if len(rows) < min(self.few, len(waiting)):
                continue  # the purse keeps it for the next cycle
            rest = self.purse[rung] - len(rows) * cost
            self.purse[rung] = min(rest, self.few * cost)
            self.spare += rest - self.purse[rung]
            if len(rows):
                self.level[rows] = rung + 1
                return Move(self.ladder.rungs[rung], "attack", rows)
        return None

    def _account(self, e: Evidence) -> None:
        """Add what the last rung has cost and broken."""
        if self.seen and len(e.rounds) > self.seen:
            r = e.rounds[self.seen]
            most = int((r.forward + r.backward).max())
            self.passes[self.rung - 1] = max(self.passes[self.rung - 1], most)
            self.learn(self.rung - 1, len(r.where(Status.BROKEN)), price(r))
        self.seen = 0


def shares(rates: Array, even: Array) -> Array:
    """What each gets of a budget: mostly by breaks per pass, a twentieth as ``even`` has it.

    By the cube of the rates: what breaks twice as much for its passes gets eight times as many.

    >>> shares(np.array([2.0, 1.0]), np.array([1.0, 1.0])).round(2).tolist()
    [0.87, 0.13]
    """
    power = (rates / rates.max()) ** _GREED
    mixed: Array = _EXPLORED * even / even.sum() + (1 - _EXPLORED) * power / power.sum()
    return mixed


def _rate(broken: Array, spent: Array) -> Array:
    rate: Array = (broken + 0.5) / np.maximum(spent, 1.0)
    return rate


def price(r: Round) -> float:
    """Time of a round in forward passes: a backward pass takes about as long as two."""
    return float(r.forward.sum(dtype=np.int64) + 2 * r.backward.sum(dtype=np.int64))
