"""Frank-Wolfe: move towards the best vertex, never leave the set."""

from dataclasses import dataclass
from typing import Literal

from saddlepoint.core.access import Gradients
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid
from saddlepoint.core.loss import Loss, check_loss
from saddlepoint.core.spec import compact
from saddlepoint.core.threat import Convex
from saddlepoint.core.whole import require_whole

__all__ = ["FrankWolfe"]


@dataclass(frozen=True, repr=False)
class FrankWolfe:
    """u <- (1 - r) u + r argmax <g, u>, r = 2 / (k + 2) (Jaggi 2013, alg. 1; 1811.10828).

    Projection-free: a convex combination of members is a member. The first step has r = 1 and is
    exact on linear models; ``start`` only decides where the first gradient is taken.

    >>> FrankWolfe(steps=5)
    FrankWolfe(steps=5)
    """

    steps: int = 40
    start: Literal["random", "clean"] = "clean"
    loss: Loss | str | None = None

    __repr__ = compact

    def __post_init__(self) -> None:
        require_whole("steps", self.steps)
        check_loss(self.loss)
        if self.start not in ("random", "clean"):
            raise Invalid("start", self.start, "'random' or 'clean'")

    def __call__(self, oracle: Gradients[Convex], draw: Draw) -> None:
        """Walk towards one vertex a step."""
        oracle = oracle.aim(self.loss)
        x, threat = oracle.x, oracle.threat
        u = threat.sample(x, draw) if self.start == "random" else threat.start(x)
        for k in range(self.steps):
            oracle, u = oracle.shrink(u)
            _, g = oracle.value_and_grad(u)
            vertex = oracle.threat.maximise(oracle.x, g)
            u = u.lerp(vertex, 2 / (k + 2))
        oracle.value(u)
