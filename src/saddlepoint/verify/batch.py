"""Subproblems side by side, as tensors."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from saddlepoint.verify.alpha import Multiplier, Slopes
from saddlepoint.verify.crown import Bounds, Choice
from saddlepoint.verify.interval import Interval
from saddlepoint.verify.problem import Problem
from saddlepoint.verify.region import Region
from saddlepoint.verify.tree import Leaf

__all__ = ["Batch"]


@dataclass(frozen=True, eq=False)
class Batch:
    """Subproblems side by side, B of them with R rows each."""

    region: Region
    a: Tensor
    offset: Tensor
    bounds: Bounds
    slopes: Slopes
    multipliers: dict[int, Multiplier]
    places: tuple[tuple[tuple[int, int], ...], ...]  # of each leaf's splits: (node, flat number)

    @staticmethod
    def of(problem: Problem, leaves: Sequence[Leaf], bent: dict[int, Tensor]) -> "Batch":
        """Unpack leaves into tensors."""
        rows = torch.tensor([leaf.row for leaf in leaves])
        count = len(leaves)
        bounds = {n: x.take(torch.zeros(count).long()) for n, x in problem.bounds.items()}
        slopes: Slopes = {}
        for n, pair in problem.slopes.items():
            slopes[n] = tuple(  # type: ignore[assignment]
                None if t is None else _dense(t, [leaf.t[n, side] for leaf in leaves], bent[n])
                for side, t in enumerate(pair)
            )
        multipliers = _multipliers(leaves, bounds, problem)
        places = tuple(tuple((s.node, s.index) for s, _ in leaf.path) for leaf in leaves)
        region = problem.region[torch.zeros(count).long()]
        return Batch(
            region, problem.a[rows], problem.offset[rows], bounds, slopes, multipliers, places
        )

    def choice(self) -> Choice:
        """What the bounds of this batch are made with."""
        return Choice(self.slopes, {n: m.pull(m.value) for n, m in self.multipliers.items()})

    def with_choice(self, slopes: Slopes, beta: dict[int, Tensor]) -> "Batch":
        """Return the batch with other slopes and multipliers."""
        made = {n: Multiplier(beta[n], m.sign, m.at) for n, m in self.multipliers.items()}
        return Batch(self.region, self.a, self.offset, self.bounds, slopes, made, self.places)

    def keep(self, index: Tensor) -> "Batch":
        """Return some of the subproblems; rows may repeat."""
        return Batch(
            self.region[index],
            self.a[index],
            self.offset[index],
            {n: x.take(index) for n, x in self.bounds.items()},
            {
                n: tuple(None if t is None else t[index] for t in pair)  # type: ignore[misc]
                for n, pair in self.slopes.items()
            },
            {n: m[index] for n, m in self.multipliers.items()},
            tuple(self.places[i] for i in index.tolist()),
        )

    def betas(self) -> list[tuple[float, ...]]:
        """Multipliers of each leaf's splits, in the order of its path."""
        flat = {n: m.value[:, 0].flatten(1) for n, m in self.multipliers.items()}
        return [
            tuple(float(flat[n][i, k]) for n, k in places) for i, places in enumerate(self.places)
        ]


def _dense(root: Tensor, packed: Sequence[Tensor], bent: Tensor) -> Tensor:
    """Slopes of bent elements put in their places, (B, R, *shape)."""
    shape = root.shape[1:]
    dense = root.new_zeros(len(packed), shape[0], shape[1:].numel())
    dense[:, :, bent] = torch.stack(list(packed)).to(root.dtype)
    return dense.unflatten(2, shape[1:])


def _multipliers(leaves: Sequence[Leaf], bounds: Bounds, problem: Problem) -> dict[int, Multiplier]:
    """Write the splits into the bounds (in place); return their multipliers by node."""
    found: dict[int, list[tuple[int, int, int, float, float]]] = {}
    for i, leaf in enumerate(leaves):
        for (split, sign), beta in zip(leaf.path, leaf.beta, strict=True):
            found.setdefault(split.node, []).append((i, split.index, sign, split.at, beta))
    rows = problem.a.shape[1]
    made = {}
    for node, entries in found.items():
        i, k, s, at, beta = (torch.tensor(column) for column in zip(*entries, strict=True))
        low, high = bounds[node].low.clone(), bounds[node].high.clone()
        below, above = s > 0, s < 0
        flat_low, flat_high = low.flatten(1), high.flatten(1)
        at = at.to(low.dtype)
        flat_high[i[below], k[below]] = torch.minimum(flat_high[i[below], k[below]], at[below])
        flat_low[i[above], k[above]] = torch.maximum(flat_low[i[above], k[above]], at[above])
        bounds[node] = Interval(low, high)
        sign = torch.zeros_like(flat_low)
        sign[i, k] = s.to(low.dtype)
        value = low.new_zeros(len(leaves), rows, flat_low.shape[1])
        value[i, :, k] = beta.to(low.dtype)[:, None]
        where = None
        if bool((at != 0).any()):
            where = torch.zeros_like(flat_low)
            where[i, k] = at
            where = where.view_as(low)
        shape = low.shape[1:]
        made[node] = Multiplier(value.unflatten(2, shape), sign.view_as(low), where)
    return made
