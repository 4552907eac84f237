"""Small networks exactly, by mixed-integer programming: an independent check of branch and bound.

The network is encoded in float64 and handed to HiGHS (``scipy.optimize.milp``), which shares no
code with the search of this package. Source: Tjeng, Xiao and Tedrake, 1711.07356; the distance is
that of Carlini, Katz, Barrett and Dill, 1709.10207.
"""

import math
import time
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from saddlepoint.core.errors import Invalid, Unsupported
from saddlepoint.verify.network import Network
from saddlepoint.verify.program import TOLERANCE, Program, State
from saddlepoint.verify.region import Box, Region
from saddlepoint.verify.spec import Spec

__all__ = ["Answer", "Nearby", "decide", "smallest"]


@dataclass(frozen=True, eq=False)
class Answer:
    """The largest margin over a box.

    value: the margin that the network has at x, (1, *F) float64; bound: no input has a larger one;
    state: ``optimal``, or ``limit`` when time ran out, value and bound then being the best known.
    """

    state: State
    value: float
    bound: float
    x: Tensor

    @property
    def gap(self) -> float:
        """What is left between the bound and the margin found."""
        return self.bound - self.value

    @property
    def verdict(self) -> Literal["holds", "broken", "undecided"]:
        """``broken`` at x, ``holds`` everywhere, or unknown, as within the solver's tolerance."""
        if self.value > TOLERANCE:
            return "broken"
        return "holds" if self.bound < -TOLERANCE else "undecided"


@dataclass(frozen=True, eq=False)
class Nearby:
    """The smallest Linf change after which some group has no row below zero.

    lower <= distance <= upper up to the solver's tolerance of 1e-6, equal where ``optimal``; x:
    (1, *F) float64 at distance upper, on the boundary or across it, None with upper = inf where no
    such input is in the box (``infeasible``) or none was found in time (``limit``).
    """

    state: State
    lower: float
    upper: float
    x: Tensor | None

    @property
    def gap(self) -> float:
        """(upper - lower) / upper: 1 where nothing is known, 0 where all is."""
        if math.isinf(self.upper):
            return float(self.state == "limit")
        return (self.upper - self.lower) / self.upper if self.upper > 0 else 0.0


def decide(network: Network, region: Region, spec: Spec, seconds: float = 60.0) -> Answer:
    """max over a box of the margin of ``spec``: the largest group, of each its least row.

    network: as ``trace`` gives it; region: one ``Box``, (1, *F); spec: of one sample; seconds: of
    wall time, for all groups together. Groups whose linear bound is below a margin found already
    are left out. Raises ``Unsupported`` for other regions and for operators that are not piecewise
    linear.

    >>> from saddlepoint.core.goal import Untargeted
    >>> from saddlepoint.verify.spec import margins
    >>> from saddlepoint.verify.tracing import trace
    >>> box = Box(torch.tensor([[-0.5, 0.0]]), torch.tensor([[1.0, 0.75]]))
    >>> goal = margins(Untargeted(torch.tensor([0])), 2, torch.zeros(1))
    >>> answer = decide(trace(torch.nn.ReLU(), (2,)), box, goal)
    >>> answer.state, answer.value, answer.verdict
    ('optimal', 0.75, 'broken')
    """
    end = time.monotonic() + seconds
    network, box, spec = _exactly(network, region, spec)
    x = (box.low + box.high) / 2
    value = _margin(network, spec, x)
    program = Program.over(network, box, spec)
    reach, state = program.ceiling.copy(), "optimal"
    for group in np.argsort(-program.ceiling).tolist():
        if reach[group] <= value:
            continue
        found = program.maximise(group, end - time.monotonic())
        reach[group] = min(reach[group], found.bound)
        state = found.state if found.state == "limit" else state
        if found.v is not None:
            member = torch.clamp(program.input(found.v, x), box.low, box.high)
            margin = _margin(network, spec, member)
            value, x = (margin, member) if margin > value else (value, x)
    return Answer("optimal" if state == "optimal" else "limit", value, max(value, *reach), x)


def smallest(
    network: Network,
    x: Tensor,
    region: Region,
    spec: Spec,
    seconds: float = 60.0,
    tolerance: float = 1e-3,
) -> Nearby:
    """min ||x' - x||_inf over the x' of a box for which some group has all its rows >= 0.

    Group by group: look for the largest margin at a size just below the smallest distance so far,
    ``tolerance`` times it; a solution's activation pattern leaves a linear program whose optimum is
    the next distance; no solution ends the group. (With the size as a variable of the whole
    program its bounds, and with them the relaxation, would be those of the largest size.)

    network, spec: as in ``decide``. x: (1, *F) in the box; region: one ``Box``, such as that of
    ``Linf(eps)``, the smaller the faster: the distance of a known break is a good size. seconds: of
    wall time. Raises as ``decide``, and ``Invalid`` when x is outside.

    >>> from saddlepoint.core.goal import Untargeted
    >>> from saddlepoint.verify.spec import margins
    >>> from saddlepoint.verify.tracing import trace
    >>> box = Box(torch.zeros(1, 2), torch.ones(1, 2))
    >>> goal = margins(Untargeted(torch.tensor([0])), 2, torch.zeros(1))
    >>> near = smallest(trace(torch.nn.ReLU(), (2,)), torch.tensor([[0.75, 0.25]]), box, goal)
    >>> near.state, round(near.upper, 6)
    ('optimal', 0.25)
    """
    network, box, spec = _exactly(network, region, spec)
    x = x.detach().double()
    if bool((x < box.low).any() or (x > box.high).any()):
        raise Invalid("x", "<outside of the box>", "an input in the box")
    if _margin(network, spec, x) >= 0:
        return Nearby("optimal", 0.0, 0.0, x)
    approach = _Approach(network, x, box, spec, tolerance, time.monotonic() + seconds)
    order = np.argsort(-Program.over(network, box, spec).ceiling).tolist()
    lower = min(approach.group(g) for g in order)
    upper = approach.upper if approach.nearest is not None else math.inf
    state: State = "limit" if approach.late else "optimal"
    if approach.nearest is None and not approach.late:
        state = "infeasible"
    return Nearby(state, min(lower, approach.size), upper, approach.nearest)


class _Approach:
    """The nearest input so far."""

    def __init__(
        self, network: Network, x: Tensor, box: Box, spec: Spec, tolerance: float, end: float
    ) -> None:
        self.network, self.x, self.box, self.spec = network, x, box, spec
        self.tolerance, self.end, self.late = tolerance, end, False
        self.nearest: Tensor | None = None
        self.upper = float(torch.maximum(x - box.low, box.high - x).max())

    @property
    def size(self) -> float:
        """What is asked about next: all of the box, or a little less than the best so far."""
        return self.upper if self.nearest is None else self.upper * (1 - self.tolerance)

    def group(self, group: int) -> float:
        """Come as close as the group lets; return the size within which it has no solution."""
        while True:
            size, x = self.size, self.x
            near = Box(
                torch.maximum(self.box.low, x - size), torch.minimum(self.box.high, x + size)
            )
            program = Program.over(self.network, near, self.spec)
            found = program.maximise(group, self.end - time.monotonic(), floor=0.0)
            if found.v is not None:
                closer = program.approach(group, x, size, found.v)
                v = found.v if closer.v is None else closer.v
                self.nearest = torch.clamp(program.input(v, x), near.low, near.high)
                self.upper = min(size, float((self.nearest - x).abs().max()))
            elif found.state == "infeasible":
                return size
            if found.state == "limit":
                self.late = True
                return 0.0


def _exactly(network: Network, region: Region, spec: Spec) -> tuple[Network, Box, Spec]:
    """Check what was given; return it in float64."""
    if not isinstance(region, Box):
        raise Unsupported(
            f"{type(region).__name__}: a mixed-integer program needs a box, such as that of Linf; "
            "Distance and branch and bound take other convex sets"
        )
    if len(region.low) != 1 or len(spec.weight) != 1:
        raise Invalid("region", f"<{len(region.low)} samples>", "one sample at a time")
    if bool((region.low > region.high).any()):
        raise Invalid("region", "<low > high>", "a box with low <= high")
    double = torch.float64
    return network.to(double), Box(region.low.to(double), region.high.to(double)), spec.to(double)


def _margin(network: Network, spec: Spec, x: Tensor) -> float:
    with torch.no_grad():
        return float(spec.margin(network.forward(x).flatten(1)))
