"""The verifier that answers VNN-LIB files: bounds, then branch and bound by what varies."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from saddlepoint.verify.alpha import initial
from saddlepoint.verify.bisect import Bisect, Halved
from saddlepoint.verify.branch import Branch, Problem
from saddlepoint.verify.crown import crown
from saddlepoint.verify.network import Network
from saddlepoint.verify.region import Box
from saddlepoint.verify.spec import Spec
from saddlepoint.verify.tracing import trace
from saddlepoint.verify.vnnlib.query import Decision, Query

__all__ = ["ByBounds"]


@dataclass(frozen=True)
class ByBounds:
    """Decide boxes in float64: CROWN first, then branch and bound on those that stay open.

    Boxes with at most ``few`` inputs that vary are halved, ``batch`` at a time; in the others the
    neurons are split. Time is shared evenly among the boxes that are left.
    """

    few: int = 12
    batch: int = 256

    def __call__(self, model: nn.Module, query: Query, seconds: float) -> Sequence[Decision]:
        """Return a decision for each box. Raises ``Unsupported`` for operators without bounds."""
        end = time.monotonic() + seconds
        network = trace(model, tuple(query.low.shape[1:])).to(torch.float64)
        box, spec = Box(query.low, query.high), Spec(query.C, query.d, query.group)
        varying = int((query.high > query.low).flatten(1).sum(1).max())
        if varying <= self.few:
            return _decisions(Bisect(seconds, batch=self.batch)(network, box, spec))
        first = Bisect(seconds, boxes=len(query.low), batch=self.batch)(network, box, spec)
        found = _decisions(first)
        open_ = [i for i, decision in enumerate(found) if decision.fate == "timeout"]
        for done, i in enumerate(open_):
            share = (end - time.monotonic()) / (len(open_) - done)
            if share > 0:
                one = torch.tensor([i])
                found[i] = _branched(network, box[one], spec[one], share)
            if found[i].fate == "unsafe":
                break  # one is enough for an answer
        return found


def _decisions(halved: Halved) -> list[Decision]:
    found = []
    for closed, broken, x in zip(halved.closed, halved.found, halved.x, strict=True):
        if broken:
            found.append(Decision("unsafe", x))
        else:
            found.append(Decision("safe" if closed else "timeout"))
    return found


def _branched(network: Network, box: Box, spec: Spec, seconds: float) -> Decision:
    """Split neurons of the network on one box."""
    a, offset = _grouped(spec, network.nodes[network.output].shape)
    groups = torch.zeros(len(a)).long()
    with torch.no_grad():
        bounds = crown(network, box)
    each = {n: x.take(groups) for n, x in bounds.items()}
    slopes = initial(network, each, network.output, a.shape[1])
    problem = Problem(network, box, a, offset, bounds, slopes)
    outcome = Branch(seconds=seconds)(problem, range(len(a)))
    if outcome.found is not None:
        return Decision("unsafe", outcome.found[0])
    return Decision("safe" if outcome.closed else "timeout")


def _grouped(spec: Spec, shape: torch.Size) -> tuple[Tensor, Tensor]:
    """Return -C and -d of one sample by group, (G, R, *out) and (G, R), the last row repeated."""
    members = [(spec.group == g).nonzero().squeeze(1) for g in range(spec.groups)]
    most = max(len(rows) for rows in members)
    index = torch.stack([torch.cat([rows, rows[-1:].expand(most - len(rows))]) for rows in members])
    return -spec.weight[0][index].reshape(*index.shape, *shape), -spec.offset[0][index]
