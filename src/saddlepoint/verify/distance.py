"""How far the nearest break is, from both sides: bisection between certified and broken sizes."""

import math
import time
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor

from saddlepoint.core.errors import Invalid
from saddlepoint.core.threat import Graded, graded
from saddlepoint.verify.alpha import Ascent, Slopes, initial
from saddlepoint.verify.branch import Branch, Outcome, Problem
from saddlepoint.verify.crown import Bounds, crown
from saddlepoint.verify.network import Network
from saddlepoint.verify.region import Region, region
from saddlepoint.verify.spec import Spec

__all__ = ["Bracket", "Distance"]

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
    """Bisect the size of a convex set, deciding each size by branch and bound.

    A certified size raises ``lower``; a break lowers ``upper`` to its own size, after a look at
    closer points on the way to it. Done when upper - lower <= ``tolerance`` times upper. A size
    that the search leaves undecided counts as neither, and what is smaller is asked next.
    branch: the search for one size; seconds: of CPU time for all sizes of a sample.
    """

    tolerance: float = 0.01
    seconds: float = 60.0
    branch: Branch = field(default_factory=Branch)
    ascent: Ascent = field(default_factory=Ascent)

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
    ) -> Bracket:
        """Return the bracket of one sample.

        threat: sets of all sizes, its own the largest of interest; x: (1, *F); spec: of one
        sample; known: (1, *F), a break to start from, such as an attack has found. Raises
        ``Unsupported`` for sets without sizes or without maxima of linear functions, ``Invalid``
        for more than one sample and for a known break that is none.

        >>> from saddlepoint.core.goal import Untargeted
        >>> from saddlepoint.threats import L2
        >>> from saddlepoint.verify.spec import margins
        >>> from saddlepoint.verify.tracing import trace
        >>> goal = margins(Untargeted(torch.tensor([0])), 2, torch.zeros(1))
        >>> x = torch.tensor([[0.75, 0.25]])
        >>> found = Distance()(trace(torch.nn.ReLU(), (2,)), L2(eps=1.0), x, goal)
        >>> found.lower <= 0.5 * 2 ** 0.5 / 2 ** 0.5 / 2 ** 0.5 <= found.upper
        True
        """
        if len(x) != 1 or len(spec.weight) != 1:
            raise Invalid("x", f"<{len(x)} samples>", "one sample at a time")
        search = _Search(self, network, graded(threat), x, spec)
        if known is not None and not search.closer(known):
            raise Invalid("known", "<not a break>", "a member of the set that breaks the sample")
        return search.run()


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
        # Sizes at which each group is certified already: smaller ones need no search.
        self.safe = [0.0] * spec.groups
        self.slopes: Slopes = {}

    def run(self) -> Bracket:
        """Bisect until the ends meet, or nothing is left to spend."""
        self.closer(self.x)
        size = min(self.cap, self.upper)
        while not self._met() and self._left() > 0:
            self._ask(size)
            size = (self.lower + min(self.cap, self.upper)) / 2
        if self.lower >= self.most:
            state: Literal["closed", "limit", "none"] = "none"
        else:
            state = "closed" if self._narrow(self.upper) else "limit"
        lower = min(self.lower, self.upper)
        return Bracket(state, lower, self.upper, self.found, self.searches, self.spent)

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
            size = float(self.threat.size(self.x.double(), u.double()))
            if size < self.upper:
                self.upper, self.found = size, member
        return bool(broken)

    def _ask(self, size: float) -> None:
        """Certify or break one size; what is neither is not asked again, nor anything above."""
        groups = [g for g, safe in enumerate(self.safe) if safe < size]
        where = region(self.threat.at(size), self.x)  # type: ignore[arg-type]
        outcome = self._decide(where, groups, size) if groups else None
        self.searches += 1
        if outcome is not None:
            self.spent += outcome.spent
            if outcome.found is not None and self.closer(outcome.found):
                return
            if not outcome.closed:
                self.cap = size
                return
        self.lower = size
        self.safe = [max(safe, size) for safe in self.safe]

    def _decide(self, where: Region, groups: list[int], size: float) -> Outcome | None:
        """Linear bounds, then optimised ones, then branch and bound; None where bounds suffice."""
        with torch.no_grad():
            bounds = crown(self.network, where)
        a, offset = self._rows(groups)
        count, rows = a.shape[:2]
        flat = a.flatten(0, 1)[None]
        start = self._warm(bounds, count * rows)
        last = self.network.output
        low, slopes, _ = self.how.ascent(self.network, where, last, flat, bounds, start)
        self.slopes = slopes if len(groups) == self.spec.groups else self.slopes
        shaped: Slopes = {
            n: tuple(None if t is None else t[0].unflatten(0, (count, rows)) for t in pair)  # type: ignore[misc]
            for n, pair in slopes.items()
        }
        problem = Problem(self.network, where, a, offset, bounds, shaped)
        reach = (low[0].unflatten(0, (count, rows)) + offset).amax(1)
        todo = []
        for i, g in enumerate(groups):
            if float(reach[i]) > problem.enough:
                self.safe[g] = size
            else:
                todo.append(i)
        left = max(1e-3, min(self._left(), self.how.branch.seconds))
        return replace(self.how.branch, seconds=left)(problem, todo) if todo else None

    def _warm(self, bounds: Bounds, rows: int) -> Slopes:
        """Slopes of the last size where they fit, CROWN's own elsewhere."""
        start = initial(self.network, bounds, self.network.output, rows)
        for n, pair in self.slopes.items():
            if n in start and all(
                old is None or new is None or old.shape == new.shape
                for old, new in zip(pair, start[n], strict=True)
            ):
                start[n] = pair
        return start

    def _rows(self, groups: list[int]) -> tuple[Tensor, Tensor]:
        """(G, R, *out) and (G, R): minus the rows of each group, the last repeated to fill up."""
        members = [(self.spec.group == g).nonzero().flatten().tolist() for g in groups]
        most = max(len(m) for m in members)
        index = torch.tensor([m + m[-1:] * (most - len(m)) for m in members])
        shape = self.network.nodes[-1].shape
        return -self.spec.weight[0][index].unflatten(2, shape), -self.spec.offset[0][index]
