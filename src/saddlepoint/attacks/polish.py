"""Polish: a few short gradient steps from where another attack has come."""

import contextlib
from dataclasses import dataclass
from typing import Any

from saddlepoint.attacks.combine import check_attack
from saddlepoint.attacks.pgd import PGD
from saddlepoint.attacks.transform import Momentum
from saddlepoint.core.access import Attack, Gradients
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Exhausted
from saddlepoint.core.spec import compact
from saddlepoint.core.threat import ThreatModel
from saddlepoint.core.whole import require_whole

__all__ = ["Polish"]


@dataclass(frozen=True, repr=False)
class Polish:
    """Run ``attack``, then climb the probability margin for ``steps`` from its worst point.

    Random search leaves the basin that gradients are caught in but is slow to find the peak beyond;
    steps of PGD with momentum, the first 0.3 radii long, find it at once. On nets whose gradients
    are masked the two together break what either misses.

    >>> from saddlepoint.attacks.square import Square
    >>> Polish(Square(n_queries=250))
    Polish(Square(n_queries=250))
    """

    attack: Attack[Any]
    steps: int = 20

    __repr__ = compact

    def __post_init__(self) -> None:
        require_whole("steps", self.steps)
        check_attack(self.attack)

    def __call__(self, oracle: Gradients[ThreatModel], draw: Draw) -> None:
        """Search, then climb on the rows that are still open."""
        with contextlib.suppress(Exhausted):  # out of one kind of pass is not out of both
            self.attack(oracle, draw.tag("search"))
        oracle, draw = oracle.shrink(draw, at=1.0)
        climb = PGD(
            steps=self.steps,
            start="worst",
            transform=Momentum(0.75),
            loss="probability-margin",
            reach=0.3,
        )
        climb(oracle, draw.tag("climb"))
