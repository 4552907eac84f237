"""Turn the outcome of a search into a certificate, and see to it that it holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from saddlepoint.core.errors import Unsupported
from saddlepoint.core.shapes import pieces
from saddlepoint.verify.certificate import Certificate
from saddlepoint.verify.checker import Checker, slack
from saddlepoint.verify.problem import Problem
from saddlepoint.verify.proof.inputs import Inputs, inputs
from saddlepoint.verify.proof.leaves import Ground, Path, paths
from saddlepoint.verify.proof.slots import slots
from saddlepoint.verify.proof.sweep import ROOM, sweep
from saddlepoint.verify.region import Around, Box
from saddlepoint.verify.spec import Spec
from saddlepoint.verify.survey import Aim, Survey
from saddlepoint.verify.tree import Leaf, Tree

__all__ = ["certify_ibp", "certify_tree"]

_RATES, _STEPS = (0.1, 0.02, 0.004), 10  # of ascent, where a leaf is open at first


def certify_ibp(checker: Checker, where: Inputs, spec: Spec) -> Certificate | None:
    """Return the certificate by intervals, or None where they do not prove ``spec`` (one sample).

    It stores nothing: the checker propagates intervals itself.
    """
    certificate = Certificate()
    return None if checker(certificate, where, spec) else certificate


def certify_tree(
    problem: Problem,
    tree: Tree,
    where: Inputs | None = None,
    checker: Checker | None = None,
    aims: Mapping[int, Aim] | None = None,
) -> Certificate | None:
    """Return the certificate of a search that closed all of a problem; None where it fails.

    Groups without a tree are closed by the problem's own slopes. ``where``: the inputs as the
    checker knows them, ``inputs(threat, x)``; without it, the problem's region as it is. Pass the
    checker of the model, ``Checker.of``: one of the search's network has its float32 constants.
    aims: by node, where the problem's bounds were made with other lines than CROWN's own.

    Intervals are bounded anew in float64 and rounded outward. t is rounded to 1/255 in the
    direction that helps its leaf; a leaf that float64 leaves open takes a few steps of ascent, and
    if it stays open there is no certificate: float32 had closed it by its rounding.
    """
    checker = checker or Checker(problem.network)
    where = where or _inputs(problem.region)
    with torch.no_grad():
        base, ground = _ground(checker, problem, where, aims or {})
    planted = _plant(problem, tree)
    if planted is None:
        return None
    leaves, root, split, at = planted
    rows = torch.zeros(len(leaves), 2, dtype=torch.int32)
    base = replace(base, root=root, split=split, at=at, leaf=rows)
    way = paths(base)
    widest = max(node.shape.numel() for node in problem.network.nodes)
    found = []
    for some in pieces(torch.arange(len(leaves)), max(1, ROOM // widest)):
        part = slice(int(some[0]), int(some[-1]) + 1)
        closed = _closed(problem, ground, leaves[part], way[part])
        if closed is None:
            return None
        found.append(closed)
    t, row, beta = (torch.cat(parts) for parts in zip(*found, strict=True))
    first, which = _kinds(t)
    leaf = torch.stack([row, which], 1).to(torch.int32)
    return replace(base, leaf=leaf, beta=beta, t=t[first])


def _kinds(t: Tensor) -> tuple[Tensor, Tensor]:
    """Number the different rows: where each comes first, and which one every row is."""
    first: dict[bytes, int] = {}
    names = [row.numpy().tobytes() for row in t]
    for k, name in enumerate(names):
        first.setdefault(name, k)
    place = {name: k for k, name in enumerate(first)}
    return torch.tensor(list(first.values())), torch.tensor([place[name] for name in names])


def _inputs(region: Any) -> Inputs:  # noqa: ANN401
    if isinstance(region, Box):
        return Inputs(region.low[0].double(), region.high[0].double())
    if isinstance(region, Around):
        return inputs(region.threat, region.x[0])
    raise Unsupported(f"no certificate over a {type(region).__name__}")


def _ground(
    checker: Checker, problem: Problem, where: Inputs, aims: Mapping[int, Aim]
) -> tuple[Certificate, Ground]:
    """Intervals of what is bent, by planes, as a certificate stores them."""
    survey = Survey(checker, problem, aims)
    found, drawn = sweep(checker.network, where, survey.settle)
    listed = slots(checker.network, found, survey.stored)
    return survey.base(), Ground(checker.network, where, found, drawn, listed)


def _plant(problem: Problem, tree: Tree) -> tuple[list[Leaf], Tensor, Tensor, Tensor] | None:
    """Number the parts of the tree: leaves, roots, splits, and where they cut."""
    leaves: list[Leaf] = []
    refs: dict[int, int] = {place: k for k, place in enumerate(tree.splits)}
    for place, leaf in tree.leaves.items():
        refs[place] = ~len(leaves)
        leaves.append(leaf)
    root = []
    for group in range(len(problem.a)):
        if group not in tree.roots:
            root.append(~len(leaves))
            leaves.append(Leaf(group, -1, 0.0))
        else:
            root.append(refs.get(tree.roots[group], 0))
    ends = [child for _, *children in tree.splits.values() for child in children]
    if any(place not in refs for place in (*ends, *tree.roots.values())):
        return None  # something was left open
    split = [(s.node, s.index, refs[b], refs[a]) for s, b, a in tree.splits.values()]
    at = torch.tensor([s.at for s, _, _ in tree.splits.values()], dtype=torch.float32)
    table = torch.tensor(split, dtype=torch.int32).reshape(-1, 4)
    return leaves, torch.tensor(root, dtype=torch.int32), table, at


class _Closed(NamedTuple):
    """T of some leaves (L, T) uint8, the row (L,) that each bounds, their multipliers in order."""

    t: Tensor
    row: Tensor
    beta: Tensor


def _closed(
    problem: Problem, ground: Ground, leaves: Sequence[Leaf], way: Sequence[Path]
) -> _Closed | None:
    """Quantise some leaves and see that they close, with some ascent where they do not."""
    group = torch.tensor([path.group for path in way])
    depth = torch.tensor([len(path.cuts) for path in way])
    a, offset = problem.a.detach().double(), problem.offset.detach().double()
    start = torch.stack([_stored_t(problem, ground, leaf) for leaf in leaves], 1)  # (R, L, T)
    beta = torch.tensor([b for leaf in leaves for b in _multipliers(leaf)], dtype=torch.float64)
    goals, tried = [], []
    for r in range(a.shape[1]):
        rows, rest = a[group, r], offset[group, r]
        gap = rest - slack(ground.network, ground.where, rows, rest)
        goals.append(_Goal(ground, way, rows, gap))
        # The search keeps the multipliers of one row: the others need some steps to compare.
        tried.append(goals[r].climb(start[r], beta) if a.shape[1] > 1 else (start[r], beta))
    row = torch.zeros(len(leaves), dtype=torch.int64)
    if a.shape[1] > 1:
        with torch.no_grad():
            row = torch.stack(
                [g.value(t, b) for g, (t, b) in zip(goals, tried, strict=True)]
            ).argmax(0)
    leaf, cut = torch.arange(len(leaves)), torch.arange(len(beta))
    goal = _Goal(
        ground,
        way,
        torch.stack([g.a for g in goals])[row, leaf],
        torch.stack([g.gap for g in goals])[row, leaf],
    )
    t = torch.stack([t for t, _ in tried])[row, leaf]
    closed = goal.close(t, torch.stack([b for _, b in tried])[row.repeat_interleave(depth), cut])
    return None if closed is None else _Closed(closed[0], row, closed[1])


def _multipliers(leaf: Leaf) -> list[float]:
    """One multiplier per cut; of several cuts of one element the search weighs the last alone."""
    last = {(split.node, split.index): k for k, (split, _) in enumerate(leaf.path)}
    return [
        beta if last[split.node, split.index] == k else 0.0
        for k, ((split, _), beta) in enumerate(zip(leaf.path, leaf.beta, strict=True))
    ]


def _stored_t(problem: Problem, ground: Ground, leaf: Leaf) -> Tensor:
    """(R, T) t of a leaf for the slots of the certificate: its own, its root's, or CROWN's."""
    parts = []
    for node, side, index in ground.slots:
        op: Any = problem.network.nodes[node].op
        x = problem.bounds[problem.network.nodes[node].inputs[0]]
        default = op.default(x)[side].flatten(1)
        pair = problem.slopes.get(node, (None, None))
        own = pair[side]
        root = default if own is None else own[leaf.row].flatten(1)
        dense = root.expand(problem.a.shape[1], -1).double().clone()
        if (node, side) in leaf.t:
            dense[:, op.bent(x).flatten().nonzero()[:, 0]] = leaf.t[node, side].double()
        parts.append(dense[:, index].clamp(0, 1))
    rows = problem.a.shape[1]
    return torch.cat([torch.zeros(rows, 0, dtype=torch.float64), *parts], 1)


@dataclass(frozen=True, eq=False)
class _Goal:
    """What has to be shown of some leaves: bound + gap > 0."""

    ground: Ground
    way: Sequence[Path]
    a: Tensor
    gap: Tensor

    def value(self, t: Tensor, beta: Tensor) -> Tensor:
        """(L,) the bounds, 0 where they just fail."""
        return self.ground.bound(self.way, self.a, beta, t) + self.gap

    def close(self, t: Tensor, beta: Tensor) -> tuple[Tensor, Tensor] | None:
        """Return t in units of 1/255 and multipliers that close all leaves, or None."""
        beta = beta.float().double().clamp(min=0)
        for rate in (0.0, *_RATES):
            if rate:
                t, beta = self.climb(t, beta, rate)
            _, slope, _ = self._slopes(t, beta)
            tiny = (t * 255 - (t * 255).round()).abs() < 1e-6
            up, down = (t * 255).ceil(), (t * 255).floor()
            q = torch.where(tiny, (t * 255).round(), torch.where(slope > 0, up, down))
            with torch.no_grad():
                closed = self.value(q / 255, beta) > 0
            if bool(closed.all()):
                return q.to(torch.uint8), beta.float()
        return None

    def _slopes(self, t: Tensor, beta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The bounds and their derivatives."""
        t, beta = (v.detach().clone().requires_grad_() for v in (t, beta))
        with torch.enable_grad():
            value = self.value(t, beta)
            # Where nothing is bent and nothing split there is nothing to differentiate.
            total = value.sum() + 0 * (t.sum() + beta.sum())
            by_t, by_beta = torch.autograd.grad(total, (t, beta))
        return value.detach(), by_t, by_beta

    def climb(self, t: Tensor, beta: Tensor, rate: float = _RATES[0]) -> tuple[Tensor, Tensor]:
        """Some steps of Adam, all leaves at once; each leaf keeps the best it has seen."""
        t, beta = t.clone(), beta.clone()
        adam = torch.optim.Adam([t, beta], lr=rate)
        depth = torch.tensor([len(path.cuts) for path in self.way])
        best, kept = None, (t.clone(), beta.clone())
        for _ in range(_STEPS):
            value, *slopes = self._slopes(t, beta)
            better = value > (value.new_full((), -torch.inf) if best is None else best)
            best = value if best is None else torch.maximum(best, value)
            kept = (
                torch.where(better[:, None], t, kept[0]),
                torch.where(better.repeat_interleave(depth), beta, kept[1]),
            )
            t.grad, beta.grad = (-slope for slope in slopes)
            adam.step()
            t.clamp_(0, 1)
            beta.copy_(beta.clamp(min=0).float())
        return kept
