"""Subproblems side by side, as tensors."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from saddlepoint.verify.alpha import Multiplier, Slopes
from saddlepoint.verify.interval import Bounds, Interval
from saddlepoint.verify.planes import Choice
from saddlepoint.verify.problem import Problem
from saddlepoint.verify.region import Region
from saddlepoint.verify.roof import Roofs
from saddlepoint.verify.tree import Leaf

__all__ = ["Batch"]


@dataclass(frozen=True, eq=False)
class Batch:
    """Subproblems side by side, B of them; a and offset hold the R rows of each one's group."""

    region: Region
    a: Tensor
    offset: Tensor
    weights: Tensor
    bounds: Bounds
    slopes: Slopes
    multipliers: dict[int, Multiplier]
    places: tuple[tuple[tuple[int, int], ...], ...]  # of each leaf's splits: (node, flat number)
    roofs: Roofs = field(default_factory=dict)

    @staticmethod
    def of(problem: Problem, leaves: Sequence[Leaf], bent: dict[int, Tensor]) -> "Batch":
        """Unpack leaves into tensors; they share a group where groups have planes."""
        rows = torch.tensor([leaf.row for leaf in leaves])
        count = len(leaves)
        bounds = {n: x.take(torch.zeros(count).long()) for n, x in problem.bounds.items()}
        slopes: Slopes = {}
        for n, pair in problem.slopes.items():
            slopes[n] = tuple(  # type: ignore[assignment]
                None if t is None else _dense(t, [leaf.t[n, side] for leaf in leaves], bent[n])
                for side, t in enumerate(pair)
            )
        multipliers = _multipliers(leaves, bounds)
        places = tuple(tuple((s.node, s.index) for s, _ in leaf.path) for leaf in leaves)
        region = problem.region[torch.zeros(count).long()]
        weights = torch.tensor([leaf.weights for leaf in leaves]).to(problem.a)
        own = problem.a[rows], problem.offset[rows], weights
        roofs = problem.roofs[leaves[0].row] if problem.roofs else {}
        return Batch(region, *own, bounds, slopes, multipliers, places, roofs)

    def row(self, weights: Tensor | None = None) -> Tensor:
        """(B, 1, *out) the weighted sum of each one's rows, weights that sum to one."""
        w = self.weights if weights is None else weights
        w = w / w.sum(1, keepdim=True)
        return torch.einsum("br,br...->b...", w, self.a)[:, None]

    def shift(self, weights: Tensor | None = None) -> Tensor:
        """(B, 1) the weighted sum of the offsets."""
        w = self.weights if weights is None else weights
        return (w * self.offset).sum(1, keepdim=True) / w.sum(1, keepdim=True)

    def rise(self, weights: Tensor, z: Tensor) -> Tensor:
        """(B, R) how the bound of the sum rises with the weights, at the output z (B, 1, *out)."""
        rows = torch.einsum("brk,bk->br", self.a.flatten(2), z.flatten(1)) + self.offset
        total = weights.sum(1, keepdim=True)
        return (rows - (weights * rows).sum(1, keepdim=True) / total) / total

    def choice(self) -> Choice:
        """What the bounds of this batch are made with."""
        pull = {n: m.pull(m.value) for n, m in self.multipliers.items()}
        return Choice(self.slopes, pull, roofs=self.roofs)

    def with_choice(self, slopes: Slopes, beta: dict[int, Tensor], weights: Tensor) -> "Batch":
        """Return the batch with other slopes, multipliers and weights."""
        made = {n: Multiplier(beta[n], m.sign, m.at) for n, m in self.multipliers.items()}
        return replace(self, slopes=slopes, multipliers=made, weights=weights)

    def keep(self, index: Tensor) -> "Batch":
        """Return some of the subproblems; rows may repeat."""
        return Batch(
            self.region[index],
            self.a[index],
            self.offset[index],
            self.weights[index],
            {n: x.take(index) for n, x in self.bounds.items()},
            {
                n: tuple(None if t is None else t[index] for t in pair)  # type: ignore[misc]
                for n, pair in self.slopes.items()
            },
            {n: m[index] for n, m in self.multipliers.items()},
            tuple(self.places[i] for i in index.tolist()),
            self.roofs,
        )

    def betas(self) -> list[tuple[float, ...]]:
        """Multipliers of each leaf's splits, in the order of its path."""
        flat = {n: m.value[:, 0].flatten(1) for n, m in self.multipliers.items()}
        return [
            tuple(float(flat[n][i, k]) for n, k in places) for i, places in enumerate(self.places)
        ]


def _dense(root: Tensor, packed: Sequence[Tensor], bent: Tensor) -> Tensor:
    """Slopes of bent elements put in their places, (B, 1, *shape)."""
    shape = root.shape[2:]
    dense = root.new_zeros(len(packed), 1, shape.numel())
    dense[:, :, bent] = torch.stack(list(packed)).to(root.dtype)
    return dense.reshape(len(packed), 1, *shape)


@dataclass
class _Cuts:
    """Splits of one node, over all leaves: row, element, sign, place and multiplier."""

    row: list[int] = field(default_factory=list)
    element: list[int] = field(default_factory=list)
    sign: list[int] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    beta: list[float] = field(default_factory=list)

    def write(self, x: Interval) -> tuple[Interval, Multiplier]:
        """Cut the intervals; return them with the multipliers of the cuts."""
        i, k = torch.tensor(self.row), torch.tensor(self.element)
        s, at = torch.tensor(self.sign), torch.tensor(self.at).to(x.low.dtype)
        low, high = x.low.flatten(1).clone(), x.high.flatten(1).clone()
        for end, side, how in ((high, s > 0, "amin"), (low, s < 0, "amax")):
            flat = end.view(-1)  # an element may be cut more than once
            flat.scatter_reduce_(0, i[side] * end.shape[1] + k[side], at[side], how)
        # Of several cuts of one element the last, the tightest on its side, has the multiplier.
        last = torch.tensor(
            list({c: n for n, c in enumerate(zip(self.row, self.element, strict=True))}.values())
        )
        i, k, s, at = i[last], k[last], s[last], at[last]
        sign, value = torch.zeros_like(low), torch.zeros_like(low)
        sign[i, k] = s.to(low.dtype)
        value[i, k] = torch.tensor(self.beta).to(low.dtype)[last]
        where = None
        if any(self.at):
            where = torch.zeros_like(low)
            where[i, k] = at
            where = where.view_as(x.low)
        shape = x.low.shape
        cut = Interval(low.view(shape), high.view(shape))
        return cut, Multiplier(value.view(shape)[:, None], sign.view(shape), where)


def _multipliers(leaves: Sequence[Leaf], bounds: Bounds) -> dict[int, Multiplier]:
    """Write the splits into the bounds (in place); return their multipliers by node."""
    cuts: dict[int, _Cuts] = {}
    for i, leaf in enumerate(leaves):
        for (split, sign), beta in zip(leaf.path, leaf.beta, strict=True):
            cut = cuts.setdefault(split.node, _Cuts())
            cut.row.append(i)
            cut.element.append(split.index)
            cut.sign.append(sign)
            cut.at.append(split.at)
            cut.beta.append(beta)
    made = {}
    for node, cut in cuts.items():
        bounds[node], made[node] = cut.write(bounds[node])
    return made
