"""How far the nearest break is, from both sides: bisection between certified and broken sizes."""

import math
import time
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from saddlepoint.core.errors import Invalid, Unsound
from saddlepoint.core.threat import Graded, graded
from saddlepoint.verify.crown import crown
from saddlepoint.verify.ladder import Ladder
from saddlepoint.verify.network import Network
from saddlepoint.verify.planes import least, lower_rows
from saddlepoint.verify.region import Region, region
from saddlepoint.verify.spec import Spec

__all__ = ["Bracket", "Distance"]

# float64 rounds far less than this slack in a network of any usual size.
_LADDER = Ladder(slack=1e-9)
_ROUNDING = 1e-5  # of sizes that were computed in float32
_RAY = 65  # points on the segment from x to a break that are looked at for a closer one


@dataclass(frozen=True, eq=False)
class Bracket:
    """lower <= distance of the nearest break <= upper.

    x: (1, *F), a break at distance upper; None, with upper infinite, where none was found. state:
    ``closed`` where the bracket is as narrow as was asked; ``limit`` where the budget ended first;
    ``none`` where the whole set is certified, lower then being its size. searches: sizes that were
    asked about; spent: subproblems bounded for them.
    """

    state: Literal["closed", "limit", "none"]
    lower: float
    upper: float
    x: Tensor | None
    searches: int
    spent: int


@dataclass(frozen=True)
class Distance:
    """Bisect the size of a convex set, deciding each size by bounds and branch and bound.

    A certified size raises ``lower``; a break lowers ``upper`` to its own size, after a look at
    closer points on the way to it. Done when upper - lower <= ``tolerance`` times upper. A size
    that the search leaves undecided counts as neither, and what is smaller is asked next. All of it
    is computed in float64. seconds: of CPU time for all sizes of a sample; ladder: how one size is
    decided, within its own budget.
    """

    tolerance: float = 0.01
    seconds: float = 60.0
    ladder: Ladder = _LADDER

    def __post_init__(self) -> None:
        if not 0 < self.tolerance < 1:
            raise Invalid("tolerance", self.tolerance, "a share between 0 and 1, such as 0.01")
        if not self.seconds > 0:
            raise Invalid("seconds", self.seconds, "a number above 0")

    def __call__(
        self,
        network: Network,
        threat: Any,  # noqa: ANN401 - GradedConvex, with a hull
        x: Tensor,
        spec: Spec,
        known: Tensor | None = None,
        certified: float = 0.0,
    ) -> Bracket:
        """Return the bracket of one sample.

        threat: sets of all sizes, its own the largest of interest; x: (1, *F); spec: of one
        sample; known: (1, *F), a break to start from, such as an attack has found; certified: a
        size that is proved already. Raises ``Unsupported`` for sets without sizes or without maxima
        of linear functions, ``Invalid`` for more than one sample and for a known break that is
        none, ``Unsound`` for one that is closer than ``certified``.

        >>> from saddlepoint.core.goal import Untargeted
        >>> from saddlepoint.threats import L2
        >>> from saddlepoint.verify.spec import margins
        >>> from saddlepoint.verify.tracing import trace
        >>> goal = margins(Untargeted(torch.tensor([0])), 2, torch.zeros(1))
        >>> x = torch.tensor([[0.75, 0.25]])
        >>> found = Distance()(trace(torch.nn.ReLU(), (2,)), L2(eps=1.0), x, goal)
        >>> found.state, found.lower <= 0.125**0.5 <= found.upper
        ('closed', True)
        """
        if len(x) != 1 or len(spec.weight) != 1:
            raise Invalid("x", f"<{len(x)} samples>", "one sample at a time")
        double = torch.float64
        x, spec = x.detach().to(double), spec.to(double)
        search = _Search(self, network.to(double), graded(threat), x, spec)
        if known is not None and not search.closer(known.detach().to(double)):
            raise Invalid("known", "<not a break>", "a member of the set that breaks the sample")
        return search.run(certified)


class _Search:
    """Two ends that move towards each other."""

    def __init__(
        self, how: Distance, network: Network, threat: Graded, x: Tensor, spec: Spec
    ) -> None:
        self.how, self.network, self.threat, self.x, self.spec = how, network, threat, x, spec
        self.started = time.process_time()
        self.most = float(torch.as_tensor(threat.eps).max())
        self.lower, self.upper, self.cap = 0.0, math.inf, self.most
        self.found: Tensor | None = None
        self.searches = self.spent = 0

    def run(self, certified: float) -> Bracket:
        """Bisect until the ends meet, or nothing is left to spend."""
        self.closer(self.x)
        if certified > self.upper * (1 + _ROUNDING):
            said = f"size {certified:.6g} is certified, but a break is {self.upper:.6g} away"
            raise Unsound(f"{said}: one of the two is wrong")
        self.lower = certified
        size = min(self.cap, self.upper)
        # A break at the upper end and a proof below it leave the middle as the better question.
        size = self._middle() if certified > 0 and math.isfinite(self.upper) else size
        while not self._met() and self._left() > 0:
            self._ask(size)
            size = self._middle()
        if self.lower >= self.most:
            state: Literal["closed", "limit", "none"] = "none"
        else:
            state = "closed" if self._narrow(self.upper) else "limit"
        lower = min(self.lower, self.upper)
        return Bracket(state, lower, self.upper, self.found, self.searches, self.spent)

    def _middle(self) -> float:
        return (self.lower + min(self.cap, self.upper)) / 2

    def _left(self) -> float:
        return self.how.seconds - (time.process_time() - self.started)

    def _narrow(self, end: float) -> bool:
        return end - self.lower <= self.how.tolerance * end and end < math.inf

    def _met(self) -> bool:
        """Whether the ends have met, or what is certified has met what is undecided."""
        return self.lower >= self.most or self._narrow(min(self.upper, self.cap))

    def closer(self, x: Tensor) -> bool:
        """Take a break that is closer than the last, or a still closer one on the way to it."""
        share = torch.linspace(0, 1, _RAY, dtype=x.dtype, device=x.device)
        share = share.reshape(-1, *[1] * (x.dim() - 1))
        ray = self.x + share * (x - self.x)
        ray[-1] = x[0]
        with torch.no_grad():
            out = self.network.forward(ray).flatten(1)
            rows = torch.einsum("rk,bk->br", self.spec.weight[0], out) + self.spec.offset
            broken = (self.spec.worst(rows) > 0).nonzero().flatten().tolist()
        for i in broken[:1]:
            member = ray[i : i + 1]
            u = member - self.x
            if not bool(self.threat.contains(self.x, u, 1e-6)):
                return False
            size = float(self.threat.size(self.x, u))
            if size < self.upper:
                self.upper, self.found = size, member
        return bool(broken)

    def _open(self, where: Region) -> Spec | None:
        """The groups that a linear bound does not rule out; they are so at smaller sizes too."""
        network, spec = self.network, self.spec
        rows = lower_rows(network, spec.weight)
        top = spec.offset - least(network, where, network.output, rows, crown(network, where))
        hold = [
            bool((top[0, spec.group == g] < -self.how.ladder.slack).any())
            for g in range(spec.groups)
        ]
        kept = torch.tensor([not hold[g] for g in spec.group.tolist()])
        if not bool(kept.any()):
            return None
        group = torch.tensor(hold).logical_not().cumsum(0)[spec.group[kept]] - 1
        return Spec(spec.weight[:, kept], spec.offset[:, kept], group)

    def _ask(self, size: float) -> None:
        """Certify or break one size; what is neither is not asked again, nor anything above."""
        where = region(self.threat.at(size), self.x)  # type: ignore[arg-type]
        ladder = replace(self.how.ladder, seconds=min(self.how.ladder.seconds, self._left()))
        self.searches += 1
        with torch.no_grad():
            spec = self._open(where)
        if spec is None:
            self.lower = size
            return
        (verdict,) = ladder(self.network, where, spec)
        self.spent += verdict.spent
        if verdict.certified:
            self.lower = size
        elif verdict.found is None or not self.closer(verdict.found):
            self.cap = size
