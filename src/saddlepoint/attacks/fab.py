"""Fast adaptive boundary: step onto the linearised boundary, with a pull back towards x."""

from dataclasses import dataclass, fields, replace
from typing import Literal, Self

import torch
from torch import Tensor

from saddlepoint.attacks.anneal import check_share
from saddlepoint.attacks.boundary import RANGE, close_in, towards
from saddlepoint.attacks.rivals import Lead, nearest_rival
from saddlepoint.core.access import Gradients
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid
from saddlepoint.core.shapes import INF, dot, like, put
from saddlepoint.core.spec import compact
from saddlepoint.core.threat import GradedConvex, radii
from saddlepoint.core.whole import require_whole

__all__ = ["FAB"]

_QUESTIONS = 3  # at the end, between x and the closest break (§3.1, final search)


@dataclass
class State:
    """What FAB remembers per row; ``state[keep]`` is the state of a sub-batch."""

    u: Tensor
    best: Tensor
    size: Tensor
    value: Tensor

    def __getitem__(self, keep: Tensor) -> Self:
        return replace(self, **{f.name: getattr(self, f.name)[keep] for f in fields(self)})

    def see(self, u: Tensor, size: Tensor, value: Tensor) -> None:
        """Take in a point and what the model said of it."""
        closer = (value > 0) & (size < self.size)
        self.best, self.size = put(closer, u, self.best), torch.where(closer, size, self.size)
        self.value = torch.where(closer, value, self.value)


@dataclass(frozen=True, repr=False)
class FAB:
    """u <- (1 - a)(u + eta d) + a eta d0, then beta u where that broke (1907.02044, alg. 1).

    d leads from x + u to the nearest point of the boundary as the gradient there draws it, d0 leads
    there from x; both are exact in the set's own measure with the input range cut out. The pull is
    a = min(size(d) / (size(d) + size(d0)), alpha_max), eta oversteps, and a break is followed by a
    step back to a share ``beta`` of the way from x. It goes where the boundary is nearest, outside
    the set as well; only members count. Last, three questions between x and the closest break.

    rivals: classes whose boundaries are drawn in every step, best score first; each costs a
    gradient, the nearest is taken (the published untargeted form draws all). ``Targets(FAB())`` is
    the targeted form, FAB-T, as AutoAttack runs it: 9 targets, 100 steps, and these settings.
    start: ``clean``, or ``random`` within half the set, for restarts. Needs a set in which
    perturbations of perturbed inputs add up, as they do in balls.

    >>> FAB(steps=20)
    FAB(steps=20)
    """

    steps: int = 100
    alpha_max: float = 0.1
    eta: float = 1.05
    beta: float = 0.9
    rivals: int = 1
    start: Literal["clean", "random"] = "clean"

    __repr__ = compact

    def __post_init__(self) -> None:
        require_whole("steps", self.steps)
        require_whole("rivals", self.rivals)
        check_share("alpha_max", self.alpha_max, 1)
        check_share("beta", self.beta, 1)
        check_share("eta", self.eta, INF)
        if self.start not in ("random", "clean"):
            raise Invalid("start", self.start, "'random' or 'clean'")

    def __call__(self, oracle: Gradients[GradedConvex], draw: Draw) -> None:
        """Follow the boundary from one start."""
        oracle = oracle.roam().aim(Lead())
        x, threat = oracle.x, oracle.threat
        half = threat.at(radii(threat, x) / 2)
        u = half.sample(x, draw) if self.start == "random" else threat.start(x)
        none = torch.full_like(radii(threat, x), INF)
        s = State(u, u, none, none)
        for _ in range(self.steps):
            oracle, s = oracle.shrink(s)
            new = self._move(oracle, s.u)
            value = oracle.value(new)
            s.see(new, oracle.threat.size(oracle.x, new), value)
            s.u = put(value > 0, self.beta * new, new)
        close_in(oracle, s.best, s.value, _QUESTIONS)

    def _move(self, oracle: Gradients[GradedConvex], u: Tensor) -> Tensor:
        """Return the next point: past the nearest boundary, pulled to where x is near."""
        x, threat = oracle.x, oracle.threat
        _, value, g, d = nearest_rival(oracle, u, self.rivals)
        d0 = towards(threat, x, g, dot(g, u) - value)
        size, size0 = threat.size(x, d), threat.size(x, d0)
        a = (size / (size + size0)).nan_to_num(0, 0, 0).clamp(max=self.alpha_max)
        a = like(a, u)
        new = (1 - a) * (u + self.eta * d) + a * self.eta * d0
        return threat.at(RANGE).project(x, new)
