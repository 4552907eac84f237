"""Which element to split next: a cheap score names candidates, their children's bounds decide."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from saddlepoint.verify.interval import Bounds, Interval
from saddlepoint.verify.network import Network
from saddlepoint.verify.operators.operator import relaxes
from saddlepoint.verify.planes import Used, least

if TYPE_CHECKING:
    from saddlepoint.verify.batch import Batch
    from saddlepoint.verify.problem import Problem

__all__ = ["Candidate", "Cut", "best_splits", "candidates"]

_LEAST = 1e-30


@dataclass(frozen=True)
class Candidate:
    """Element ``index`` of node ``node``, to be cut at ``at``."""

    node: int
    index: int
    at: float


def gaps(
    network: Network, bounds: Bounds, seen: dict[int, Used], values: list[Tensor] | None
) -> dict[int, Tensor]:
    """(B, N) what each bent element may cost the bound, by the node that it is split at.

    Without values: |coefficient| times the largest distance of the line that is in use. With the
    values of all nodes at the minimiser x*: the part of f(x*) - bound(x*) that the element causes.
    """
    found: dict[int, Tensor] = {}
    for n, used in seen.items():
        node = network.nodes[n]
        op, source = node.op, node.inputs[0]
        if not relaxes(op) or n in network.prefix:
            continue
        x = bounds[source]
        lines, a = op.lines(x, None, None), used.coefficient[:, 0]
        up, down = a.clamp(min=0), a.clamp(max=0)
        low_offset = 0 if lines.low_offset is None else lines.low_offset[:, 0]
        z = op.knot(x) if values is None else values[source]
        f = op.forward(z)
        over = lines.high_slope[:, 0] * z + lines.high_offset[:, 0]
        if used.lean is not None and values is not None:
            over = used.lean.put(over[:, None], values[used.lean.cover.roof.base][:, None])[:, 0]
        over = over - f
        under = f - (lines.low_slope[:, 0] * z + low_offset)
        gap = -down * over + up * under
        # What is bent and costs nothing here may still cost something below.
        gap = torch.where(op.bent(x), gap.clamp(min=_LEAST), 0).flatten(1)
        found[source] = found[source] + gap if source in found else gap
    return found


def candidates(
    network: Network, bounds: Bounds, seen: dict[int, Used], x: Tensor, tries: int
) -> list[list[Candidate]]:
    """Up to ``tries`` elements for each subproblem, half by either score."""
    values = network.values(x[:, 0])
    names: list[tuple[int, Tensor]] = []
    chosen: list[Tensor] = []
    for at in (None, values):
        scored = gaps(network, bounds, seen, at)
        nodes = sorted(scored)
        if not nodes:
            return [[] for _ in range(len(x))]
        names = [(n, torch.tensor(scored[n].shape[1])) for n in nodes]
        flat = torch.cat([scored[n] for n in nodes], 1)
        count = min((tries + 1) // 2, flat.shape[1])
        top = flat.topk(count, 1)
        chosen.append(torch.where(top.values > 0, top.indices, -1))
    sizes = [int(size) for _, size in names]
    knots = {n: _knots(network, bounds, n) for n, _ in names}
    found: list[list[Candidate]] = []
    for i, row in enumerate(torch.cat(chosen, 1).tolist()):
        picked = []
        for k in dict.fromkeys(k for k in row if k >= 0):
            place, node = k, 0
            while place >= sizes[node]:
                place, node = place - sizes[node], node + 1
            n = names[node][0]
            picked.append(Candidate(n, place, float(knots[n].flatten(1)[i, place])))
        found.append(picked)
    return found


def _knots(network: Network, bounds: Bounds, source: int) -> Tensor:
    """(B, *shape) where to cut: the knot of a function that is bent there, the first if several."""
    x = bounds[source]
    found = (x.low + x.high) / 2
    for n in reversed(network.readers[source]):
        op = network.nodes[n].op
        if relaxes(op):
            found = torch.where(op.bent(x), op.knot(x), found)
    return found


class Cut(NamedTuple):
    """A candidate, and the bounds of its two children without any ascent."""

    candidate: Candidate
    below: float
    above: float


def best_splits(
    problem: "Problem", batch: "Batch", found: Sequence[Sequence[Candidate]]
) -> list[Cut | None]:
    """Bound the children of every candidate once, without ascent; return the best of each leaf.

    The best is the one whose worse child gains most; a child that closes gains no more than that.
    """
    pairs = [(i, c) for i, some in enumerate(found) for c in some]
    best: list[Cut | None] = [None] * len(found)
    if not pairs:
        return best
    wide = batch.keep(torch.tensor([i for i, _ in pairs]))
    row, shift = wide.row(), wide.shift()
    values = []
    for sign in (1, -1):
        bounds = dict(wide.bounds)
        for node in {c.node for _, c in pairs}:
            bounds[node] = _cut(bounds[node], node, pairs, sign)
        choice, output = wide.choice(), problem.network.output
        bound = least(problem.network, wide.region, output, row, bounds, choice)
        values.append((bound + shift)[:, 0])
    capped = [v.clamp(max=problem.enough) for v in values]
    score = (torch.minimum(*capped) + 0.1 * torch.maximum(*capped)).tolist()
    below, above = (v.tolist() for v in values)
    top: dict[int, float] = {}
    for k, (i, c) in enumerate(pairs):
        if best[i] is None or score[k] > top[i]:
            top[i], best[i] = score[k], Cut(c, below[k], above[k])
    return best


def _cut(x: Interval, node: int, pairs: Sequence[tuple[int, Candidate]], sign: int) -> Interval:
    """Intervals with the candidates' elements cut at their knots, below or above."""
    rows = [(j, c.index, c.at) for j, (_, c) in enumerate(pairs) if c.node == node]
    j, k, at = (torch.tensor(column) for column in zip(*rows, strict=True))
    end = (x.high if sign > 0 else x.low).flatten(1).clone()
    end[j, k] = at.to(end.dtype)
    end = end.view_as(x.low)
    return Interval(x.low, end) if sign > 0 else Interval(end, x.high)
