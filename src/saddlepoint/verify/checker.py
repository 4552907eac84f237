"""The checker of certificates: float64, and no code of the search that found them.

It reads the network's nodes and their ``forward``; lines, intervals, transposes and the inputs'
minima are its own (``proof/``).
"""

import copy
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from saddlepoint.core.errors import BadData, Unsupported
from saddlepoint.core.shapes import pieces
from saddlepoint.verify.certificate import IBP, Certificate, shares
from saddlepoint.verify.network import Network
from saddlepoint.verify.proof.inputs import Inputs
from saddlepoint.verify.proof.leaves import Cut, Ground, Path, paths, stored_of
from saddlepoint.verify.proof.lines import Lines
from saddlepoint.verify.proof.roofs import covers, width
from saddlepoint.verify.proof.slots import Range, slots
from saddlepoint.verify.proof.sweep import ROOM, Far, plane, sweep
from saddlepoint.verify.proof.trust import inspect
from saddlepoint.verify.spec import Spec
from saddlepoint.verify.tracing import trace

__all__ = ["Checker", "leant", "slack"]

_ULPS = 32


def slack(network: Network, where: Inputs, a: Tensor, offset: Tensor) -> Tensor:
    """(R,) what the bound of a row must exceed: 32 half-units of float32, of its terms.

    A bound holds for exact arithmetic. A model computes in float32, so that a margin closer to 0
    than its rounding could come out with either sign; the terms are taken at the middle of the set.
    """
    x = (where.low + where.high) / 2 if where.x is None else where.x
    out = network.forward(x[None])[0]
    size = (a * out).abs().flatten(1).sum(1) + offset.abs()
    return _ULPS * 2.0**-24 * size.clamp(min=1.0)


@dataclass(frozen=True, eq=False)
class Checker:
    """Checks certificates of one network, given in any type and held in float64.

    Raises ``Unsupported`` for a network with an operator that is not known here, or one that is not
    what it says to be.
    """

    network: Network

    def __post_init__(self) -> None:
        object.__setattr__(self, "network", self.network.to(torch.float64))
        inspect(self.network)

    @staticmethod
    def of(model: nn.Module, shape: tuple[int, ...]) -> "Checker":
        """Read the model for inputs (B, *shape), and compare what was read with it in float64.

        Its numbers are widened before it is read, so that no quotient of them is a float32.
        """
        exact = copy.deepcopy(model).cpu().double().eval()
        checker = Checker(trace(exact, shape))
        generator = torch.Generator().manual_seed(1)
        x = torch.rand(8, *shape, generator=generator, dtype=torch.float64)
        with torch.no_grad():
            for probe in (x, 3 * x - 1):
                ours, theirs = checker.network.forward(probe), exact(probe)
                gap = float((ours - theirs).abs().max())
                if not gap <= 1e-9 * max(1.0, float(theirs.abs().max())):
                    raise Unsupported(f"the network and its model differ by {gap:.3g} in float64")
        return checker

    def __call__(self, certificate: Certificate, where: Inputs, spec: Spec) -> str:
        """Say why the certificate does not prove that no input in ``where`` breaks ``spec``, or "".

        ``spec`` is that of one sample.
        """
        shape = self.network.nodes[-1].shape
        a, offset = -spec.weight[0].double().reshape(-1, *shape), -spec.offset[0].double()
        members = [(spec.group == g).nonzero()[:, 0] for g in range(spec.groups)]
        if not members or not all(len(rows) for rows in members):
            return "there is nothing to prove"
        goals = [(a[rows], offset[rows]) for rows in members]
        try:
            with torch.no_grad():
                if certificate.method == IBP:
                    return self._by_intervals(where, goals)
                return self._by_planes(certificate, where, goals)
        except BadData as error:
            return str(error)

    def _by_intervals(self, where: Inputs, goals: Sequence[Range]) -> str:
        """Rows merged into what is linear behind the last functions; those are their intervals."""
        found, drawn = sweep(self.network, where, lambda n, near, far: near)
        zero = torch.zeros((), dtype=torch.float64)
        flat = {n: Lines(zero, found[n][0], zero, found[n][1]) for n in drawn}
        for group, (a, offset) in enumerate(goals):
            slope, constant = plane(self.network, self.network.output, a, flat)
            gap = where.least(slope) + constant + offset - slack(self.network, where, a, offset)
            if not bool((gap.isfinite() & (gap > 0)).any()):
                return f"intervals leave group {group} open by {-float(gap.max()):.3g}"
        return ""

    def _by_planes(self, c: Certificate, where: Inputs, goals: Sequence[Range]) -> str:
        if len(c.root) != len(goals):
            raise BadData(f"trees for {len(c.root)} groups of rows instead of {len(goals)}")
        way, stored = paths(c), stored_of(self.network, c.stored)
        _sane(c, self.network, [cut for path in way for cut in path.cuts])
        found, drawn = sweep(self.network, where, _claims(c, stored))
        listed = slots(self.network, found, stored)
        over = covers(self.network, found, stored) if len(c.roof) else []
        ground = Ground(self.network, where, found, drawn, listed, over)
        if len(c.roof) and c.roof.shape[1] != width(over):
            raise BadData("planes above other elements than are bent")
        if c.t.shape[1] != sum(len(slot.elements) for slot in ground.slots):
            raise BadData("slopes for other elements than are bent")
        least = [(a, offset - slack(self.network, where, a, offset)) for a, offset in goals]
        weights = _weights(c, max(len(a) for a, _ in goals))
        begin = torch.tensor([0, *(len(path.cuts) for path in way)]).cumsum(0).tolist()
        widest = max(node.shape.numel() for node in self.network.nodes)
        for some in pieces(torch.arange(len(way)), max(1, ROOM // widest)):
            first, last = int(some[0]), int(some[-1]) + 1
            mixed = [_mixed(*least[way[k].group], weights[k]) for k in range(first, last)]
            a, rest = (torch.stack(part) for part in zip(*mixed, strict=True))
            beta, t = c.beta[begin[first] : begin[last]], shares(c.t[c.leaf[first:last].long()])
            gap = ground.bound(way[first:last], a, beta, t, leant(c, way[first:last])) + rest
            for k in (~(gap.isfinite() & (gap > 0))).nonzero()[:, 0].tolist():
                group = way[first + k].group
                return f"leaf {first + k} of group {group} is open by {-float(gap[k]):.3g}"
        return ""


def _weights(c: Certificate, rows: int) -> Tensor:
    """(L, R) float64 weights that sum to one."""
    weights = c.weights.double()
    total = weights.sum(1, keepdim=True)
    if c.weights.shape[1] != rows or not bool(
        (weights >= 0).all() & weights.isfinite().all() & (total > 0).all()
    ):
        raise BadData("weights that are not one number >= 0, some above 0, for each row of a group")
    return weights / total


def _mixed(a: Tensor, offset: Tensor, weights: Tensor) -> Range:
    """Weighted sum of a group's rows: above 0, one of them is. The first stands in for missing."""
    own = weights[: len(a)].clone()
    own[0] += weights[len(a) :].sum()
    return torch.einsum("r,r...->...", own, a), own @ offset


def leant(c: Certificate, way: Sequence[Path]) -> Tensor | None:
    """(L, W) s of the planes that leaves stand under, None for none."""
    rows = c.crest.long()[[path.group for path in way]]
    return shares(c.roof[rows]) if len(c.roof) and bool((rows >= 0).all()) else None


def _claims(c: Certificate, stored: Mapping[int, Tensor]) -> Callable[[int, Range, Far], Range]:
    """What settles the interval of a node: its claims, each justified by intervals or by planes."""
    begin = 0

    def settle(n: int, near: Range, far: Far) -> Range:
        nonlocal begin
        index = stored[n].nonzero()[:, 0]
        part = slice(begin, begin + len(index))
        begin += len(index)
        claims, named = [c.low[part].double(), c.high[part].double()], c.claim[part].long()
        over = covers(far.network, far.found, stored, n) if bool((c.lean[part] >= 0).any()) else []
        if width(over) > c.roof.shape[1]:
            raise BadData("planes above other elements than are bent")
        listed = slots(far.network, far.found, stored, n)
        if sum(len(slot.elements) for slot in listed) > c.t.shape[1]:
            raise BadData("slopes for other elements than are bent")
        ends = [end.flatten(1).clone() for end in near]
        for low, high in (claims, ends):  # what is no number compares with nothing
            if not bool((low <= high).all() & low.isfinite().all() & high.isfinite().all()):
                raise BadData(f"node {n} has an interval that is none")
        rows = list(zip(named.T, c.lean[part].long().T, strict=True))
        for end, claim, (name, lean), sign in zip(ends, claims, rows, (1, -1), strict=True):
            bold = sign * claim > sign * end[0, index]
            shown = torch.full_like(claim, torch.inf)
            for own, under in itertools.product((False, True), repeat=2):  # rows of t, of planes
                some = (bold & ((name >= 0) == own) & ((lean >= 0) == under)).nonzero()[:, 0]
                t, s = c.t[name[some]] if own else None, c.roof[lean[some]] if under else None
                shown[some] = far(index[some], sign, listed, t, over, s)
            _within(n, index, ~(sign * claim <= shown))
            end[0, index] = claim
        return ends[0].view_as(near[0]), ends[1].view_as(near[1])

    return settle


def _within(n: int, index: Tensor, wrong: Tensor) -> None:
    if bool(wrong.any()):
        k = int(index[wrong][0])
        raise BadData(f"node {n}, element {k}: a tighter interval than can be shown")


def _sane(c: Certificate, network: Network, cuts: Sequence[Cut]) -> None:
    """Raise ``BadData`` for numbers that are out of place."""
    nodes = network.nodes
    if any(
        not (0 <= s.node < len(nodes) and 0 <= s.element < nodes[s.node].shape.numel())
        for s in cuts
    ):
        raise BadData("a split of an element that the network does not have")
    if len(c.beta) != len(cuts) or not bool((c.beta >= 0).all() & c.beta.isfinite().all()):
        raise BadData("multipliers that are not one number >= 0 for each split above a leaf")
    if c.t.is_floating_point() and not bool(((c.t >= 0) & (c.t <= 1)).all()):
        raise BadData("a slope outside [0, 1]")
    if not bool(((c.leaf >= 0) & (c.leaf < len(c.t))).all()):
        raise BadData("a leaf whose slopes are missing")
    if not bool(((c.claim >= -1) & (c.claim < len(c.t))).all()):
        raise BadData("an interval whose slopes are missing")
    for rows in (c.lean, c.crest):
        if not bool(((rows >= -1) & (rows < len(c.roof))).all()):
            raise BadData("planes that are missing")
