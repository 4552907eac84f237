"""DeepFool: step onto the nearest linearised boundary until it is crossed."""

import contextlib
from dataclasses import dataclass

import torch

from saddlepoint.attacks.anneal import check_share
from saddlepoint.attacks.boundary import RANGE, close_in
from saddlepoint.attacks.rivals import Lead, nearest_rival
from saddlepoint.core.access import Gradients
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Exhausted
from saddlepoint.core.shapes import INF
from saddlepoint.core.spec import compact
from saddlepoint.core.threat import GradedConvex
from saddlepoint.core.whole import require_whole

__all__ = ["DeepFool"]

_QUESTIONS = 4  # at the end, between x and the break


@dataclass(frozen=True, repr=False)
class DeepFool:
    """u <- u + (1 + overshoot) d, d from x + u to the nearest linearised boundary (1511.04599).

    Of ``rivals`` classes, best score first, each is drawn by its own gradient and the nearest is
    taken (alg. 2); d is exact in the set's own measure with the input range cut out. A row ends
    once it is broken, in two or three steps as a rule. Nothing pulls it back to x, which is what
    ``FAB`` adds. Departures from the paper: half its overshoot, which costs that much distance, and
    four last questions between x and the break. It may leave the set on its way; only members
    count.

    >>> DeepFool(rivals=3)
    DeepFool(rivals=3)
    """

    steps: int = 50
    rivals: int = 9
    overshoot: float = 0.01

    __repr__ = compact

    def __post_init__(self) -> None:
        require_whole("steps", self.steps)
        require_whole("rivals", self.rivals)
        check_share("overshoot", self.overshoot, INF)

    def __call__(self, oracle: Gradients[GradedConvex], draw: Draw) -> None:
        """Go to the boundary from x."""
        every = oracle = oracle.roam().aim(Lead())
        u = oracle.threat.start(oracle.x)
        rows, best, value = torch.arange(len(u), device=u.device), u.clone(), torch.zeros(len(u))
        value = value.to(u)
        with contextlib.suppress(Exhausted):  # every row has crossed
            for _ in range(self.steps):
                oracle, u, rows = oracle.shrink(u, rows)
                lead, _, _, d = nearest_rival(oracle, u, self.rivals)
                oracle, u, d, rows = oracle.rest(lead > 0).shrink(u, d, rows)
                u = oracle.threat.at(RANGE).project(oracle.x, u + (1 + self.overshoot) * d)
                found = oracle.value(u)
                best[rows], value[rows] = u, found
                oracle = oracle.rest(found > 0)
        every, best, value = every.shrink(best, value)
        close_in(every, best, value, _QUESTIONS)
