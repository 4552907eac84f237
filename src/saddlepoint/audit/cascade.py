"""The cascade: spend a budget of passes where breaks are, as the run itself shows.

The opening meets every sample. A pilot tries the first rung of each ladder on the most vulnerable
survivors, each on the same ones. Then ladders are climbed, as wide as their share of the budget
allows, and the share goes by breaks per pass. At last a random part of the survivors meets a
published suite, which says how much was missed.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from saddlepoint.audit.climb import Climb, Ranking, price, shares
from saddlepoint.audit.evidence import Evidence
from saddlepoint.audit.ladder import Ladder
from saddlepoint.audit.plan import Course, Move
from saddlepoint.core.access import SEEN, Access, Attack, check_fit
from saddlepoint.core.errors import Invalid
from saddlepoint.core.ledger import Status
from saddlepoint.core.threat import ThreatModel

__all__ = ["Cascade"]

Array = np.ndarray[Any, Any]
_SHARE_OF_SUITE = 0.2  # of the budget, kept for the survivors' audit
_FEWEST = 20  # survivors audited, or none: fewer would bound nothing
_PILOT_SHARE = 12  # of the survivors, one in so many
_SMALLEST = 16  # samples in a pilot
_CYCLE = 0.4  # of what is left, at most: then the shares are drawn anew
_LAST = 0.1  # of the budget: a cycle that would leave less takes it too
_CRUMBS = 0.05  # of the budget: not worth another cycle


@dataclass(frozen=True)
class Cascade:
    """Opening, ladders, and the suite that audits the survivors.

    max_passes: forward and backward passes, on average over all samples; only opening and pilot may
    exceed it. pilot: at most this many samples. suite_passes: what the suite costs on a sample that
    survives it. grow: spend as much again when the suite breaks what the ladders did not.
    survivors: how many the suite meets, beyond the budget; None lets the budget decide. first:
    attacks that everyone meets before the opening, in order.

    >>> from saddlepoint import PGD, Square
    >>> ladder = Ladder((Square(100),), (101,))
    >>> Cascade(PGD(steps=5), (ladder,), max_passes=50).describe()["max_passes"]
    50
    """

    opening: Attack[Any]
    ladders: tuple[Ladder, ...]
    suite: tuple[Attack[Any], ...] = ()
    max_passes: float = 300
    pilot: int = 256
    suite_passes: float = 9_800
    grow: bool = True
    survivors: int | None = None
    first: tuple[Attack[Any], ...] = ()

    def __post_init__(self) -> None:
        if not self.ladders:
            raise Invalid("ladders", self.ladders, "at least one")
        if isinstance(self.max_passes, bool) or not 0 < self.max_passes < np.inf:
            raise Invalid("max_passes", self.max_passes, "a positive number of passes per sample")
        if self.survivors is not None and not (
            isinstance(self.survivors, int) and self.survivors >= 0
        ):
            raise Invalid("survivors", self.survivors, "a whole number >= 0, or None")

    def attacks(self) -> list[Attack[Any]]:
        """Every attack that may run, in order."""
        ladders = [a for ladder in self.ladders for a in ladder.rungs]
        return [*self.first, self.opening, *ladders, *self.suite]

    def check(self, threat: ThreatModel, access: Access) -> None:
        """Raise ``Unsupported`` where an attack does not fit."""
        for attack in self.attacks():
            check_fit(attack, threat, access)

    def begin(self, n: int, seed: int) -> Course:
        """Start with the opening."""
        return _Course(self, n, seed)

    def describe(self) -> dict[str, Any]:
        """Return what decides the course."""
        return {
            "suite": "cascade",
            "attacks": [repr(a) for a in self.attacks()],
            "max_passes": self.max_passes,
            "pilot": self.pilot,
            "grow": self.grow,
            "survivors": self.survivors,
        }


class _Course:
    """A cascade under way: each ``next`` reads what the last round has shown."""

    def __init__(self, plan: Cascade, n: int, seed: int) -> None:
        self.plan, self.n = plan, n
        self.budget = float(plan.max_passes) * n
        self.audited = self._affordable()
        self.ranking = Ranking(n)
        self.climbs = [Climb(ladder, n) for ladder in plan.ladders]
        self.cycles, self.learnt = 0, False
        self.lot = np.random.default_rng(seed).permutation(n)  # who is audited, if it survives
        self.piloted: Array | None = None
        self.chosen: Array | None = None
        self.seen = self.suite_done = 0
        self.opened = self.paid = 0.0  # when the pilot began, and the last cycle
        self.grown = False

    def _affordable(self) -> int:
        """How many survivors the budget lets the suite meet."""
        if self.plan.survivors is not None:
            self.budget += self.plan.survivors * self.plan.suite_passes
            return self.plan.survivors if self.plan.suite else 0
        if not self.plan.suite:
            return 0
        count = int(_SHARE_OF_SUITE * self.budget / self.plan.suite_passes)
        return count if count >= _FEWEST else 0

    def next(self, e: Evidence) -> Move | None:
        """Return the next round."""
        for r in e.rounds[self.seen :]:
            # By labels the clean margin says nothing, and attacks say how far the break is.
            self.ranking.observe(r, told=e.plan.access in SEEN or r.stage != "clean")
        self.seen = len(e.rounds)
        self.ranking.open &= ~e.exempt & ~e.asked_out
        if not self.ranking.open.any():
            return None
        opening = (*self.plan.first, self.plan.opening)[len(e.attacks) :]
        if opening:
            return Move(opening[0], "attack", self.ranking.rows())
        move = self._pilot(e) or self._climb(e) or self._suite()
        if move is None and self._escalate(e):
            move = self._climb(e)
        return move

    def _left(self, e: Evidence) -> float:
        """Passes that may still be spent, the suite's apart."""
        kept = 0.0 if self.chosen is not None else self.audited * self.plan.suite_passes
        return self.budget - kept - e.passes() * self.n

    def _pilot(self, e: Evidence) -> Move | None:
        """First rungs on the same samples: what one breaks, the next still meets."""
        if self.piloted is None:
            self.opened = e.passes()
            count = int(self.ranking.open.sum())
            share = min(self.plan.pilot, max(count // _PILOT_SHARE, min(_SMALLEST, count)))
            self.piloted = self.ranking.rows(share)
        done = [r for r in e.rounds if r.stage == "pilot"]
        if len(done) < len(self.plan.ladders):
            self.climbs[len(done)].meet(self.piloted)
            return Move(self.plan.ladders[len(done)].rungs[0], "pilot", self.piloted)
        if not self.learnt:
            self.learnt = True
            hit = np.array([np.isin(self.piloted, r.where(Status.BROKEN)) for r in done])
            # A sample that several ladders break is worth a part to each.
            credit = (hit / np.maximum(hit.sum(axis=0), 1)).sum(axis=1)
            for climb, c, r in zip(self.climbs, credit, done, strict=True):
                climb.learn(0, c, price(r))
        return None

    def _climb(self, e: Evidence) -> Move | None:
        """Go on with the ladders of this cycle, or start another with shares drawn anew."""
        if self.suite_done and not self.grown:
            return None
        for fresh in (False, True):
            if fresh and not self._cycle(e):
                break
            for climb in self.climbs if self.cycles else ():
                move = climb.next(e, self.ranking, self._left(e))
                if move is not None:
                    return move
        return None  # a cycle that begins and reaches no sample is the last

    def _cycle(self, e: Evidence) -> bool:
        """Share out what is left by breaks per pass; False when only crumbs are."""
        left, idle = self._left(e), self.cycles > 0 and e.passes() == self.paid
        if idle or left < _CRUMBS * self.budget:
            return False  # attacks that ask nothing would go on for ever
        self.paid = e.passes()
        self.cycles += 1
        share = shares(np.array([c.rate() for c in self.climbs]), np.ones(len(self.climbs)))
        for climb in self.climbs:
            climb.begin(self.ranking)
        return self._fund(left, share, self._part(left, e.passes() - self.opened))

    def _fund(self, left: float, share: Array, part: float) -> bool:
        """Give the ladders so much, and again, until a rung can run; False where none comes to."""
        for _ in range(int(left / part)):
            for climb, s in zip(self.climbs, share, strict=True):
                climb.fund(part * float(s))
            if any(c.ready(self.ranking, left) for c in self.climbs):
                return True
        return False

    def _part(self, left: float, searched: float) -> float:
        """Passes of a cycle: no more than the shares were learnt from, which is little at first."""
        part = min(_CYCLE * left, max(searched * self.n, _CRUMBS * self.budget))
        return left if left - part < _LAST * self.budget else part

    def _suite(self) -> Move | None:
        """Run the suite, attack by attack, on a random part of the survivors."""
        if not self.audited or self.suite_done == len(self.plan.suite):
            return None
        if self.chosen is None:
            self.chosen = np.sort(self.lot[self.ranking.open[self.lot]][: self.audited])
        rows = self.chosen[self.ranking.open[self.chosen]]
        if not len(rows):
            return None
        self.suite_done += 1
        return Move(self.plan.suite[self.suite_done - 1], "suite", rows)

    def _escalate(self, e: Evidence) -> bool:
        """Spend as much again where the suite broke a survivor: the ladders had missed something.

        What broke it becomes a ladder of one rung.
        """
        if self.grown or not self.plan.grow:
            return False
        found = [r for r in e.rounds if r.stage == "suite" and len(r.where(Status.BROKEN))]
        for r in found:
            attack = next(a for a in self.plan.suite if repr(a) == r.arm)
            ladder = Ladder((attack,), (float((r.forward + r.backward).max()),))
            self.climbs.append(Climb(ladder, self.n))
            self.climbs[-1].meet(r.rows)
            self.climbs[-1].learn(0, len(r.where(Status.BROKEN)), price(r))
        self.grown = bool(found)
        self.budget = (e.passes() + self.plan.max_passes) * self.n
        return self.grown
