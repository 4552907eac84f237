"""Turn the outcome of a search into a certificate, and see to it that it holds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from saddlepoint.core.errors import Unsupported
from saddlepoint.core.shapes import pieces
from saddlepoint.verify.certificate import Certificate
from saddlepoint.verify.checker import Checker, leant, slack
from saddlepoint.verify.grounding import grounded, planted
from saddlepoint.verify.problem import Problem
from saddlepoint.verify.proof.inputs import Inputs, inputs
from saddlepoint.verify.proof.leaves import Ground, Path, paths
from saddlepoint.verify.proof.roofs import width
from saddlepoint.verify.proof.sweep import ROOM
from saddlepoint.verify.region import Around, Box
from saddlepoint.verify.spec import Spec
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
    problem: Problem, tree: Tree, where: Inputs | None = None, checker: Checker | None = None
) -> Certificate | None:
    """Return the certificate of a search that closed all of a problem; None where it fails.

    ``problem`` and ``tree``: those of the search's proof. ``where``: the inputs as the checker
    knows them, ``inputs(threat, x)``; without it, the problem's region as it is. Pass the checker
    of the model, ``Checker.of``: one of the search's network has its float32 constants.

    Intervals are bounded anew in float64 and rounded outward. t is rounded to 1/255 in the
    direction that helps its leaf; a leaf that float64 leaves open takes a few steps of ascent, and
    if it stays open there is no certificate: float32 had closed it by its rounding.
    """
    checker = checker or Checker(problem.network)
    where = where or _inputs(problem.region)
    with torch.no_grad():
        base, ground = grounded(checker, problem, where)
    planted = _plant(problem, tree)
    if planted is None:
        return None
    leaves, root, split, at = planted
    none, weights = torch.zeros(len(leaves), dtype=torch.int32), _weights(leaves)
    crest, roof = _crests(problem, ground, base)
    base = replace(base, root=root, crest=crest, split=split, at=at, leaf=none, weights=weights)
    base = replace(base, roof=roof)
    way = paths(base)
    widest = max(node.shape.numel() for node in problem.network.nodes)
    found = []
    for some in pieces(torch.arange(len(leaves)), max(1, ROOM // widest)):
        part = slice(int(some[0]), int(some[-1]) + 1)
        s = leant(base, way[part])
        closed = _closed(problem, ground, leaves[part], way[part], weights[part], s)
        if closed is None:
            return None
        found.append(closed)
    t, beta = (torch.cat(parts) for parts in zip(*found, strict=True))
    first, which = _kinds(t)
    leaf = (len(base.t) + which).to(torch.int32)
    return replace(base, leaf=leaf, beta=beta, t=torch.cat([base.t, t[first]]))


def _crests(problem: Problem, ground: Ground, base: Certificate) -> tuple[Tensor, Tensor]:
    """The row of ``roof`` for each group's leaves, and the table with these."""
    if not problem.roofs or not width(ground.covers):
        return torch.full((len(problem.a),), -1, dtype=torch.int32), base.roof
    rows = []
    for roofs in problem.roofs:
        own = {
            n: (c.roof.index[0], (c.s[:, 0] * 255).round().to(torch.uint8))
            for n, c in roofs.items()
        }
        rows.append(planted(ground.covers, own, 1))
    crest = len(base.roof) + torch.arange(len(rows), dtype=torch.int32)
    return crest, torch.cat([base.roof, *rows])


def _weights(leaves: Sequence[Leaf]) -> Tensor:
    """(L, R) float32, those of a leaf as large as 1."""
    weights = torch.tensor([leaf.weights for leaf in leaves], dtype=torch.float64).clamp(min=0)
    return (weights / weights.amax(1, keepdim=True)).float()


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


def _plant(problem: Problem, tree: Tree) -> tuple[list[Leaf], Tensor, Tensor, Tensor] | None:
    """Number the parts of the tree: leaves, roots, splits, and where they cut."""
    leaves: list[Leaf] = []
    refs: dict[int, int] = {place: k for k, place in enumerate(tree.splits)}
    for place, leaf in tree.leaves.items():
        refs[place] = ~len(leaves)
        leaves.append(leaf)
    root = []
    for group in range(len(problem.a)):
        root.append(refs.get(tree.roots.get(group, -1), 0))
    ends = [child for _, *children in tree.splits.values() for child in children]
    if len(tree.roots) < len(root) or any(p not in refs for p in (*ends, *tree.roots.values())):
        return None  # something was left open
    split = [(s.node, s.index, refs[b], refs[a]) for s, b, a in tree.splits.values()]
    at = torch.tensor([s.at for s, _, _ in tree.splits.values()], dtype=torch.float32)
    table = torch.tensor(split, dtype=torch.int32).reshape(-1, 4)
    return leaves, torch.tensor(root, dtype=torch.int32), table, at


def _closed(
    problem: Problem,
    ground: Ground,
    leaves: Sequence[Leaf],
    way: Sequence[Path],
    weights: Tensor,
    s: Tensor | None,
) -> tuple[Tensor, Tensor] | None:
    """Quantise some leaves and see that they close, with some ascent where they do not.

    The result is their t (L, T) uint8 and their multipliers in order.
    """
    group = torch.tensor([path.group for path in way])
    a, offset = problem.a.detach().double(), problem.offset.detach().double()
    least = torch.stack(
        [
            b - slack(ground.network, ground.where, rows, b)
            for rows, b in zip(a, offset, strict=True)
        ]
    )
    own = weights.double() / weights.double().sum(1, keepdim=True)
    mixed, gap = torch.einsum("lr,lr...->l...", own, a[group]), (own * least[group]).sum(1)
    start = torch.stack([_stored_t(problem, ground, leaf) for leaf in leaves])
    beta = torch.tensor([b for leaf in leaves for b in _multipliers(leaf)], dtype=torch.float64)
    return _Goal(ground, way, mixed, gap, s).close(start, beta)


def _multipliers(leaf: Leaf) -> list[float]:
    """One multiplier per cut; of several cuts of one element the search weighs the last alone."""
    last = {(split.node, split.index): k for k, (split, _) in enumerate(leaf.path)}
    return [
        beta if last[split.node, split.index] == k else 0.0
        for k, ((split, _), beta) in enumerate(zip(leaf.path, leaf.beta, strict=True))
    ]


def _stored_t(problem: Problem, ground: Ground, leaf: Leaf) -> Tensor:
    """(T,) t of a leaf for the slots of the certificate: its own, or CROWN's."""
    parts = [torch.zeros(0, dtype=torch.float64)]
    for node, side, index in ground.slots:
        op: Any = problem.network.nodes[node].op
        x = problem.bounds[problem.network.nodes[node].inputs[0]]
        dense = op.default(x)[side].flatten().double()
        if (node, side) in leaf.t:
            dense = dense.index_put((op.bent(x).flatten(),), leaf.t[node, side][0].double())
        parts.append(dense[index].clamp(0, 1))
    return torch.cat(parts)


@dataclass(frozen=True, eq=False)
class _Goal:
    """What has to be shown of some leaves: bound + gap > 0."""

    ground: Ground
    way: Sequence[Path]
    a: Tensor
    gap: Tensor
    s: Tensor | None

    def value(self, t: Tensor, beta: Tensor) -> Tensor:
        """(L,) the bounds, 0 where they just fail."""
        return self.ground.bound(self.way, self.a, beta, t, self.s) + self.gap

    def close(self, t: Tensor, beta: Tensor) -> tuple[Tensor, Tensor] | None:
        """Return t in units of 1/255 and multipliers that close all leaves, or None."""
        beta = beta.clamp(min=0)
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
                return q.to(torch.uint8), beta
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

    def climb(self, t: Tensor, beta: Tensor, rate: float) -> tuple[Tensor, Tensor]:
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
            beta.clamp_(min=0)
        return kept
