"""The verifier that answers VNN-LIB files: halved boxes where few inputs vary, else the ladder."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from saddlepoint.core.errors import Unsupported
from saddlepoint.verify.bisect import Bisect, Halved
from saddlepoint.verify.certify import certify_ibp, certify_tree
from saddlepoint.verify.checker import Checker
from saddlepoint.verify.descend import descend
from saddlepoint.verify.ladder import Ladder, Rung, Verdict
from saddlepoint.verify.network import Network
from saddlepoint.verify.proof.inputs import Inputs
from saddlepoint.verify.region import Box
from saddlepoint.verify.spec import Spec
from saddlepoint.verify.tracing import trace
from saddlepoint.verify.vnnlib.query import Decision, Query

__all__ = ["ByBounds"]

_SLACK = 1e-9  # by which bounds in float64 must hold
_STARTS, _STEPS = 16, 40
_SEARCH = 0.7  # of a box's time that goes to the search; its certificate takes the rest


@dataclass(frozen=True)
class ByBounds:
    """Decide boxes in float64.

    Boxes with at most ``few`` inputs that vary are halved, ``batch`` at a time. The others climb
    the ladder: bounds of all, then a short descent and branch and bound over the neurons of each
    that is open, the seconds shared evenly among those that are left.
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
        return _climbed(network, box, spec, end)


def _decisions(halved: Halved) -> list[Decision]:
    found = []
    for closed, broken, x in zip(halved.closed, halved.found, halved.x, strict=True):
        if broken:
            found.append(Decision("unsafe", x))
        else:
            found.append(Decision("safe" if closed else "timeout"))
    return found


def _climbed(network: Network, box: Box, spec: Spec, end: float) -> list[Decision]:
    rest = max(0.0, end - time.monotonic())
    rungs = (Rung.IBP, Rung.CROWN, Rung.ALPHA)
    cheap = Ladder(rest, rungs=rungs, slack=_SLACK, clock=time.monotonic)(network, box, spec)
    checker = _checker(network)
    found = []
    for i, verdict in enumerate(cheap):
        one = torch.tensor([i])
        proved = _holds(box[one], spec[one], verdict, checker)
        found.append(Decision("safe" if proved else "timeout"))
    open_ = [i for i, decision in enumerate(found) if decision.fate != "safe"]
    for done, i in enumerate(open_):
        one = torch.tensor([i])
        share = (end - time.monotonic()) / (len(open_) - done)
        if share > 0:
            found[i] = _searched(network, box[one], spec[one], share, checker)
        if found[i].fate == "unsafe":
            break  # one is enough for an answer
    return found


def _checker(network: Network) -> Checker | None:
    """Return the checker of certificates; None where it does not know the network's operators."""
    try:
        return Checker(network)
    except Unsupported:
        return None


def _holds(box: Box, spec: Spec, verdict: Verdict, checker: Checker | None) -> bool:
    """Whether one verdict is a proof, which code apart from the search has to confirm."""
    if not verdict.certified or checker is None:
        return verdict.certified
    where = Inputs(box.low[0].double(), box.high[0].double())
    proof = verdict.proof
    if proof is None or proof.problem is None or proof.tree is None:
        made = certify_ibp(checker, where, spec)
    else:
        made = certify_tree(proof.problem, proof.tree, where, checker)
    return made is not None and checker(made, where, spec) == ""


def _searched(
    network: Network, box: Box, spec: Spec, seconds: float, checker: Checker | None
) -> Decision:
    """Descend from a few points of one box, then split neurons."""
    x = _descended(network, box, spec)
    if x is not None:
        return Decision("unsafe", x)
    search = Ladder(_SEARCH * seconds, rungs=(Rung.BRANCH,), slack=_SLACK, clock=time.monotonic)
    (verdict,) = search(network, box, spec)
    if verdict.found is not None:
        return Decision("unsafe", verdict.found[0])
    return Decision("safe" if _holds(box, spec, verdict, checker) else "timeout")


def _descended(network: Network, box: Box, spec: Spec) -> Tensor | None:
    """Return an input of one box that breaks a group, or None."""
    draw = torch.Generator().manual_seed(0)
    share = torch.rand(_STARTS, *box.low.shape[1:], generator=draw, dtype=box.low.dtype)
    share[0] = 0.5
    start = box.low + share * (box.high - box.low)
    out = network.nodes[network.output].shape
    same = torch.zeros(_STARTS).long()
    for group in range(spec.groups):
        rows = spec.group == group
        a = -spec.weight[:, rows][same]
        a = a.reshape(*a.shape[:2], *out)
        x, values = descend(network, box[same], start, a, -spec.offset[:, rows][same], _STEPS)
        broken = (values.amax(1) < 0).nonzero().flatten()
        if len(broken):
            return x[broken[0]]
    return None
