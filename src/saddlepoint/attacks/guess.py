"""Guessing: for an adversary who learns nothing of the model."""

from dataclasses import dataclass

from saddlepoint.core.access import Blind
from saddlepoint.core.draw import Draw
from saddlepoint.core.spec import compact
from saddlepoint.core.threat import ThreatModel
from saddlepoint.core.whole import require_whole

__all__ = ["Guess"]


@dataclass(frozen=True, repr=False)
class Guess:
    """Hand in ``k`` members of the set: random ones, and by turns ones at its edge.

    The edge is reached by a step of two radii along random signs, and coarse signs (one for all
    coordinates that share their place on the first axis) now and then, which no average undoes.

    >>> Guess(k=20)
    Guess(k=20)
    """

    k: int = 100

    __repr__ = compact

    def __post_init__(self) -> None:
        require_whole("k", self.k)

    def __call__(self, oracle: Blind[ThreatModel], draw: Draw) -> None:
        """Hand in k points."""
        for i in range(self.k):
            oracle, draw = oracle.shrink(draw, at=1.0)
            now, u = draw.tag("guess", i), oracle.threat.start(oracle.x)
            if i % 3 == 0:
                oracle.propose(oracle.threat.sample(oracle.x, now))
                continue
            shape = u.shape[1:] if i % 3 == 1 else (u.shape[1], *[1] * (u.dim() - 2))
            signs = now.sign(*shape).to(u.dtype).expand_as(u)
            step = oracle.threat.steepest(oracle.x, u, signs)
            oracle.propose(oracle.threat.project(oracle.x, u + 2 * step))
