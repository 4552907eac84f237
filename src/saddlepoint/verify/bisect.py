"""Branch and bound over the input: boxes are bounded by CROWN and halved while they stay open.

Complete for continuous networks up to the precision of the bounds, and the better choice where the
input has few dimensions (2106.14503, section 5, does so for ACAS Xu).
"""

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from saddlepoint.verify.crown import crown
from saddlepoint.verify.network import Network
from saddlepoint.verify.planes import backward
from saddlepoint.verify.region import Box
from saddlepoint.verify.spec import Spec

__all__ = ["Bisect", "Halved"]


@dataclass(frozen=True, eq=False)
class Halved:
    """closed (B,): no input of the box breaks the sample; x (B, *F): one that does where ``found``.

    spent: boxes bounded. A sample that is neither closed nor found is undecided.
    """

    closed: Tensor
    found: Tensor
    x: Tensor
    spent: int


@dataclass(frozen=True)
class Bisect:
    """Halve boxes until ``seconds`` of wall time or ``boxes`` are spent.

    batch: boxes bounded at a time, those with the least certain bound first. Each is halved along
    the dimension that moves its bound most: width times the largest slope of an open row.

    >>> from saddlepoint.verify.tracing import trace
    >>> net = trace(lambda x: x.relu() - (x - 1).relu(), (1,))
    >>> box = Box(torch.tensor([[-2.0]]), torch.tensor([[3.0]]))
    >>> above = Spec(torch.ones(1, 1, 1), torch.tensor([[-1.5]]), torch.zeros(1).long())
    >>> Bisect()(net, box, above).closed  # it never exceeds 1.5
    tensor([True])
    """

    seconds: float = 10.0
    boxes: int = 1 << 30
    batch: int = 256

    def __call__(self, network: Network, box: Box, spec: Spec) -> Halved:
        """Decide the samples of ``spec`` for all inputs of their boxes."""
        return _Search(self, network, box, spec).run()


class _Search:
    """What is open: boxes, the samples that they are of, and the bounds of their parents."""

    def __init__(self, how: Bisect, network: Network, box: Box, spec: Spec) -> None:
        self.how, self.network, self.spec = how, network, spec
        self.low, self.high = box.low, box.high
        self.owner = torch.arange(len(box.low))
        self.bound = torch.full((len(box.low),), torch.inf, dtype=box.low.dtype)
        self.found = torch.zeros(len(box.low), dtype=torch.bool)
        self.x, self.spent = box.low.clone(), 0
        self.end = time.monotonic() + how.seconds

    def run(self) -> Halved:
        """Bound, close, halve, until nothing is open or nothing is left to spend."""
        while len(self.owner) and self.spent < self.how.boxes and time.monotonic() < self.end:
            with torch.no_grad():
                self._step()
        closed = ~self.found
        closed[self.owner] = False
        return Halved(closed, self.found, self.x, self.spent)

    def _step(self) -> None:
        """Bound the boxes that are furthest from being closed, and halve what stays open."""
        size = min(self.how.batch, len(self.owner), self.how.boxes - self.spent)
        index = self.bound.topk(size).indices
        rest = torch.ones(len(self.owner), dtype=torch.bool)
        rest[index] = False
        low, high, owner = self.low[index], self.high[index], self.owner[index]
        self.spent += size
        slope, bound = self._bounded(Box(low, high), owner)
        self._try(Box(low, high), slope, owner)
        worst = self.spec[owner].worst(bound)
        still = ~(worst <= 0)  # what is no number is open
        halves = _halves(low[still], high[still], self._weight(slope, bound)[still])
        self.low = torch.cat([self.low[rest], *halves[::2]])
        self.high = torch.cat([self.high[rest], *halves[1::2]])
        self.owner = torch.cat([self.owner[rest], owner[still], owner[still]])
        self.bound = torch.cat([self.bound[rest], worst[still], worst[still]])
        self._keep(~self.found[self.owner])

    def _keep(self, mask: Tensor) -> None:
        self.low, self.high = self.low[mask], self.high[mask]
        self.owner, self.bound = self.owner[mask], self.bound[mask]

    def _bounded(self, box: Box, owner: Tensor) -> tuple[Tensor, Tensor]:
        """Slopes (B, R, *F) of planes above the rows, and upper bounds (B, R) of the rows."""
        spec = self.spec[owner]
        out = self.network.nodes[self.network.output].shape
        a = -spec.weight.reshape(*spec.weight.shape[:2], *out)
        plane = backward(self.network, self.network.output, a, crown(self.network, box))
        least = box.least(plane.slope) + plane.constant
        return -plane.slope, spec.offset - least

    def _try(self, box: Box, slope: Tensor, owner: Tensor) -> None:
        """Look for a broken sample at the centres, and where the planes are highest."""
        highest = box.minimiser(-slope)
        for x in ((box.low + box.high) / 2, *highest.unbind(1)):
            margin = self.spec[owner].margin(self.network.forward(x).flatten(1))
            broken = (margin > 0).nonzero().squeeze(1)
            self.found[owner[broken]] = True
            self.x[owner[broken]] = x[broken]

    def _weight(self, slope: Tensor, bound: Tensor) -> Tensor:
        """(B, N) how much the bound of some open row moves along each dimension, per width."""
        open_rows = (bound > 0)[..., None]
        return (slope.flatten(2).abs() * open_rows).amax(1)


def _halves(low: Tensor, high: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Cut each box in the middle of the dimension of largest weight times width."""
    width = (high - low).flatten(1)
    # A dimension without weight is still cut when nothing else is left, and a point never again.
    score = (weight + 1e-9) * width
    at = score.argmax(1, keepdim=True)
    middle = ((low + high) / 2).flatten(1).gather(1, at)
    left = high.flatten(1).scatter(1, at, middle).view_as(high)
    right = low.flatten(1).scatter(1, at, middle).view_as(low)
    return low, left, right, high
