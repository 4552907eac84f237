"""Bisection of the radius: any attack becomes one that looks for the smallest change."""

import contextlib
from dataclasses import dataclass
from typing import Any

import torch

from saddlepoint.attacks.anneal import check_share
from saddlepoint.attacks.combine import check_attack
from saddlepoint.core.access import Attack, Labels
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Exhausted
from saddlepoint.core.shapes import INF
from saddlepoint.core.spec import compact
from saddlepoint.core.threat import MEMBER, Graded, radii
from saddlepoint.core.whole import require_whole

__all__ = ["Bisect"]


@dataclass(frozen=True, repr=False)
class Bisect:
    """Run an attack in sets of ever closer sizes, per sample, until [failed, broke] is narrow.

    The first run takes the whole set; after a break the next takes a quarter of its size, and once
    a run has failed, the middle. Within a run a sample rests at its first break, and for good when
    the interval is shorter than ``tolerance`` times its upper end. rounds: runs at most. An attack
    may fail where a break exists, so the size is an upper bound like any other.

    >>> from saddlepoint.attacks.apgd import APGD
    >>> Bisect(APGD(), tolerance=0.02)
    Bisect(APGD(), tolerance=0.02)
    """

    attack: Attack[Any]
    tolerance: float = 0.005
    rounds: int = 24

    __repr__ = compact

    def __post_init__(self) -> None:
        check_attack(self.attack)
        check_share("tolerance", self.tolerance, 1)
        require_whole("rounds", self.rounds)

    def __call__(self, oracle: Labels[Graded], draw: Draw) -> None:
        """Close in on the smallest size at which the attack succeeds."""
        high = radii(oracle.threat, oracle.x)
        low, r = torch.zeros_like(high), high
        for k in range(self.rounds):
            oracle, low, high, r, draw = oracle.shrink(low, high, r, draw, at=1.0)
            with contextlib.suppress(Exhausted):  # every row rests, which ends a round only
                self.attack(*oracle.narrow(r).shrink(draw.tag("round", k), at=1.0))
            reached = oracle.reached()
            failed = (reached > r * (1 + MEMBER)) & r.isfinite()
            low = torch.where(failed, torch.maximum(low, r), low)
            high = torch.minimum(high, reached)
            done = (high - low <= self.tolerance * high) | reached.isinf()
            if bool(done.all()):
                break
            new = torch.where(low > 0, (low + high) / 2, high / 4)
            r = torch.where(done, INF, new)
