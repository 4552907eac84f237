"""The worst of a few random members: for sets whose gradients say little."""

from dataclasses import dataclass

from saddlepoint.core.access import Blind
from saddlepoint.core.draw import Draw
from saddlepoint.core.loss import Loss, check_loss
from saddlepoint.core.spec import compact
from saddlepoint.core.threat import ThreatModel
from saddlepoint.core.whole import require_whole

__all__ = ["WorstOf"]


@dataclass(frozen=True, repr=False)
class WorstOf:
    """Try ``k`` random members of the set; the worst is kept (1712.02779, §4).

    Weak in a ball of many dimensions, strong in a set of few such as rotations. loss: what is
    compared; None takes the search's.

    >>> WorstOf(k=5)
    WorstOf(k=5)
    """

    k: int = 10
    loss: Loss | str | None = None

    __repr__ = compact

    def __post_init__(self) -> None:
        require_whole("k", self.k)
        check_loss(self.loss)

    def __call__(self, oracle: Blind[ThreatModel], draw: Draw) -> None:
        """Hand in k members."""
        oracle = oracle.aim(self.loss)
        for i in range(self.k):
            oracle, draw = oracle.shrink(draw, at=1.0)
            oracle.propose(oracle.threat.sample(oracle.x, draw.tag("member", i)))
