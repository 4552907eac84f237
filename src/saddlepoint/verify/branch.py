"""Branch and bound over the elements that lines bend (beta-CROWN, 2103.06624).

A subproblem is a set of splits; its bound is optimised over slopes and multipliers. Subproblems are
bounded many at a time, the least bound first, until all are closed, one is broken, or the budget is
spent. The minimiser of each bound is an input to try: branch and bound attacks as well.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from saddlepoint.verify.alpha import Ascent, Multiplier, Slopes
from saddlepoint.verify.crown import Bounds, Choice, backward
from saddlepoint.verify.descend import descend
from saddlepoint.verify.interval import Interval
from saddlepoint.verify.network import Network
from saddlepoint.verify.operators.operator import Relaxed
from saddlepoint.verify.region import Region
from saddlepoint.verify.score import best_splits, candidates
from saddlepoint.verify.tree import Leaf, Split, Tree, gather

__all__ = ["Branch", "Outcome", "Problem"]


@dataclass(frozen=True, eq=False)
class Problem:
    """One sample: is some <a_r, output> + offset_r below zero for every row r of a group?

    region: of one sample; a: (G, R, *out) with G groups of R rows; offset: (G, R); bounds: of one
    sample, shared by all subproblems; slopes: t of every group, (G, R, *shape). ``enough`` is the
    bound above which a subproblem counts as closed, the slack of float32.
    """

    network: Network
    region: Region
    a: Tensor
    offset: Tensor
    bounds: Bounds
    slopes: Slopes
    enough: float = 1e-5


@dataclass(frozen=True, eq=False)
class Outcome:
    """closed: no input breaks any group; found: an input (1, *F) that does, or None.

    bound: the least bound of what is open; spent: subproblems bounded; tree: what closed them.
    """

    closed: bool
    found: Tensor | None
    bound: float
    spent: int
    tree: Tree


@dataclass(frozen=True)
class Branch:
    """Search until ``seconds`` of CPU time or ``subproblems`` are spent.

    batch: subproblems bounded at a time. tries: candidates whose children are bounded before one
    is split. steps: of ascent for each subproblem.
    """

    seconds: float = 10.0
    subproblems: int = 1 << 30
    batch: int = 64
    steps: int = 10
    tries: int = 6
    lr: float = 0.1
    lr_multiplier: float = 0.1
    attack_every: int = 4

    def __call__(self, problem: Problem, groups: Iterable[int]) -> Outcome:
        """Decide the ``groups`` of the problem."""
        return _Search(self, problem, list(groups)).run()


class _Search:
    """The state of one search."""

    def __init__(self, how: Branch, problem: Problem, groups: Sequence[int]) -> None:
        self.how, self.p = how, problem
        self.tree, self.spent = Tree(), 0
        self.started = time.process_time()
        self.bent = {
            n: self._op(n).bent(problem.bounds[self._source(n)]).flatten().nonzero().squeeze(1)
            for n in problem.slopes
        }
        self.open = [self._root(g) for g in groups]
        self.found: Tensor | None = None

    def _op(self, n: int) -> Relaxed:
        op = self.p.network.nodes[n].op
        if not isinstance(op, Relaxed):
            raise AssertionError("slopes belong to relaxed nodes")
        return op

    def _source(self, n: int) -> int:
        return self.p.network.nodes[n].inputs[0]

    def _root(self, group: int) -> Leaf:
        t = {
            (n, side): torch.stack([gather(row, self.bent[n]) for row in t[group]])
            for n, pair in self.p.slopes.items()
            for side, t in enumerate(pair)
            if t is not None
        }
        return Leaf(group, self.tree.root(group), -torch.inf, (), t)

    def run(self) -> Outcome:
        """Bound, close, split, until nothing is open or nothing is left to spend."""
        rounds = 0
        while self.open and self.found is None and not self._over():
            self.open.sort(key=lambda leaf: -leaf.bound)
            size = min(self.how.batch, self.how.subproblems - self.spent)
            batch = [self.open.pop() for _ in range(min(size, len(self.open)))]
            self._step(batch, rounds % self.how.attack_every == 0)
            rounds += 1
        least = min((leaf.bound for leaf in self.open), default=self.p.enough)
        closed = not self.open and self.found is None
        return Outcome(closed, self.found, least, self.spent, self.tree)

    def _over(self) -> bool:
        spent = time.process_time() - self.started
        return spent > self.how.seconds or self.spent >= self.how.subproblems

    def _step(self, leaves: list[Leaf], attack: bool) -> None:
        """Bound the leaves; close them or split them."""
        self.spent += len(leaves)
        bound, leaves, batch = self._bounded(leaves)
        still = [i for i, leaf in enumerate(leaves) if self._left_open(leaf)]
        if not still:
            return
        index = torch.tensor(still)
        batch = batch.keep(index)
        leaves = [leaves[i] for i in still]
        seen: dict[int, Tensor] = {}
        with torch.no_grad():
            plane = backward(
                self.p.network, self.p.network.output, batch.a, batch.bounds, batch.choice(), seen
            )
            x = batch.region.minimiser(plane.slope)
            self._try(x, batch, attack)
            if self.found is None:
                self._split(leaves, batch, seen, x)

    def _left_open(self, leaf: Leaf) -> bool:
        if leaf.bound > self.p.enough:
            self.tree.close(leaf)
            return False
        return True

    def _bounded(self, leaves: list[Leaf]) -> tuple[Tensor, list[Leaf], "Batch"]:
        batch = Batch.of(self.p, leaves, self.bent)
        ascent = Ascent(self.how.steps, self.how.lr, self.how.lr_multiplier)

        def done(best: Tensor) -> bool:
            return bool(((best + batch.offset).amax(1) > self.p.enough).all())

        best, slopes, beta = ascent(
            self.p.network,
            batch.region,
            self.p.network.output,
            batch.a,
            batch.bounds,
            batch.slopes,
            batch.multipliers,
            done,
        )
        bound = (best + batch.offset).amax(1)
        batch = batch.with_choice(slopes, beta)
        return bound, self._updated(leaves, bound, batch), batch

    def _updated(self, leaves: list[Leaf], bound: Tensor, batch: "Batch") -> list[Leaf]:
        packed = {
            (n, side): t.flatten(2)[:, :, self.bent[n]].to(torch.float16)
            for n, pair in batch.slopes.items()
            for side, t in enumerate(pair)
            if t is not None
        }
        values = bound.tolist()
        beta = batch.betas()
        return [
            Leaf(
                leaf.row,
                leaf.place,
                max(values[i], leaf.bound),
                leaf.path,
                {k: t[i] for k, t in packed.items()},
                beta[i],
            )
            for i, leaf in enumerate(leaves)
        ]

    def _try(self, x: Tensor, batch: "Batch", attack: bool) -> None:
        """See whether a minimiser breaks a group, with a few steps of descent now and then."""
        point, rows = x[:, 0], batch.region
        steps = 10 if attack else 0
        best, values = descend(self.p.network, rows, point, batch.a, batch.offset, steps)
        worst = values.amax(1)  # all rows of a group must be below zero
        i = int(worst.argmin())
        if float(worst[i]) < 0:
            self.found = best[i : i + 1]

    def _split(
        self, leaves: list[Leaf], batch: "Batch", seen: dict[int, Tensor], x: Tensor
    ) -> None:
        found = candidates(self.p.network, batch.bounds, seen, x, self.how.tries)
        chosen = best_splits(self.p, batch, found)
        for leaf, choice in zip(leaves, chosen, strict=True):
            if choice is None:  # nothing is bent: the bound is as good as ascent makes it
                self.stuck(leaf)
                continue
            split = Split(choice.node, choice.index, choice.at)
            for place, sign in zip(self.tree.cut(leaf.place, split), (1, -1), strict=True):
                path = (*leaf.path, (split, sign))
                child = Leaf(leaf.row, place, leaf.bound, path, leaf.t, (*leaf.beta, 0.0))
                self.open.append(child)

    def stuck(self, leaf: Leaf) -> None:
        """Put a leaf without bent elements back: more ascent may close it."""
        self.open.append(leaf)


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
