"""Projected gradient ascent: FGSM is its single exact step, PGD the loop."""

import math
from dataclasses import dataclass

from torch import Tensor

from saddlepoint.attacks.start import Start, begin, check_start
from saddlepoint.attacks.transform import Transform
from saddlepoint.core.access import Gradients
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid
from saddlepoint.core.loss import Loss, check_loss
from saddlepoint.core.spec import compact
from saddlepoint.core.threat import Convex, ThreatModel
from saddlepoint.core.whole import require_whole

__all__ = ["FGSM", "PGD"]


@dataclass(frozen=True, repr=False)
class FGSM:
    """One exact step: u = argmax <g, u> over the set, for the gradient g at x (1412.6572, §4).

    loss: what to climb; None takes the search's. In the L_inf ball this is eps sign(g).

    >>> FGSM()
    FGSM()
    """

    loss: Loss | str | None = None

    __repr__ = compact

    def __post_init__(self) -> None:
        check_loss(self.loss)

    def __call__(self, oracle: Gradients[Convex], draw: Draw) -> None:
        """Ask for one gradient and evaluate one point."""
        oracle = oracle.aim(self.loss)
        _, g = oracle.value_and_grad(oracle.threat.start(oracle.x))
        oracle.value(oracle.threat.maximise(oracle.x, g))


@dataclass(frozen=True, repr=False)
class PGD:
    """u <- project(u + step · steepest(g)), from a random start (1706.06083, §2.1).

    steps: gradients per run. step_size: length of a step in radii of the set; None lets it fall
    along a cosine from ``reach`` to a hundredth of it: first it crosses the set, then it settles.
    Madry's constant step is ``step_size=2.5 / steps``; it stops short of the optimum of a linear
    model where the box cuts an L_2 or L_1 ball. start: ``random`` in the set, ``clean``, ``worst``
    (the worst point that an earlier attack of this search has seen; a small ``reach`` then polishes
    it) or ``diverse`` (2003.06878). transform: applied to the gradient, such as ``Momentum(0.75)``.
    loss: what to climb; None takes the search's. The worst point seen is kept, not the last.

    >>> PGD(steps=7)
    PGD(steps=7)
    """

    steps: int = 40
    step_size: float | None = None
    start: Start = "random"
    transform: Transform | None = None
    loss: Loss | str | None = None
    reach: float = 2.0

    __repr__ = compact

    def __post_init__(self) -> None:
        require_whole("steps", self.steps)
        check_loss(self.loss)
        for name in ("step_size", "reach"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise Invalid(name, value, "a positive number of radii")
        if self.transform is not None and not callable(self.transform):
            raise Invalid("transform", self.transform, "None or a transform such as Momentum(0.75)")
        check_start(self.start)

    def step(self, k: int) -> float:
        """Length of step k in radii."""
        if self.step_size is not None:
            return self.step_size
        return self.reach * (0.01 + 0.495 * (1 + math.cos(math.pi * k / self.steps)))

    def __call__(self, oracle: Gradients[ThreatModel], draw: Draw) -> None:
        """Climb from one start."""
        oracle = oracle.aim(self.loss)
        u = begin(self.start, oracle, draw)
        state: Tensor | None = None
        for k in range(self.steps):
            oracle, u, state = oracle.shrink(u, state)
            _, g = oracle.value_and_grad(u)
            if self.transform is not None:
                g, state = self.transform(g, state)
            step = oracle.threat.steepest(oracle.x, u, g).mul_(self.step(k))
            u = oracle.threat.project(oracle.x, step.add_(u))
        oracle.value(u)
