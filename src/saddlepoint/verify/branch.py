"""Branch and bound over the elements that lines bend (beta-CROWN, 2103.06624).

A subproblem is a set of splits; its bound is optimised over slopes and multipliers. Subproblems are
bounded many at a time, the least bound first, until all are closed, one is broken, or the budget is
spent. The minimiser of each bound is an input to try: branch and bound attacks as well.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from saddlepoint.verify.alpha import Ascent, Mixture
from saddlepoint.verify.batch import Batch
from saddlepoint.verify.descend import descend
from saddlepoint.verify.planes import Used, backward
from saddlepoint.verify.polytope import settle
from saddlepoint.verify.problem import Problem, bent, root
from saddlepoint.verify.score import best_splits, candidates
from saddlepoint.verify.tree import Leaf, Split, Tree

__all__ = ["Branch", "Outcome"]


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
    """Search until ``seconds`` or ``subproblems`` are spent.

    clock: what counts seconds; CPU time of the process, unless a deadline is meant. batch:
    subproblems bounded at a time, fewer where memory does not suffice. tries: candidates whose
    children are bounded before one is split. steps: of ascent for each subproblem.
    """

    seconds: float = 10.0
    subproblems: int = 1 << 30
    batch: int = 64
    steps: int = 5
    tries: int = 2
    lr: float = 0.1
    lr_multiplier: float = 0.1
    attack_every: int = 4
    clock: Callable[[], float] = time.process_time

    def __call__(self, problem: Problem, groups: Iterable[int]) -> Outcome:
        """Decide the ``groups`` of the problem."""
        return _Search(self, problem, list(groups)).run()


class _Search:
    """The state of one search."""

    def __init__(self, how: Branch, problem: Problem, groups: Sequence[int]) -> None:
        self.how, self.p = how, problem
        self.tree, self.spent, self.size = Tree(), 0, how.batch
        self.started = how.clock()
        self.bent = bent(problem)
        self.open = [root(problem, self.tree, g, self.bent) for g in groups]
        self.unsettled: list[Leaf] = []  # bounded exactly, and a tie
        self.found: Tensor | None = None

    def run(self) -> Outcome:
        """Bound, close, split, until nothing is open or nothing is left to spend."""
        rounds = 0
        while self.open and self.found is None and not self._over():
            batch = self._next()
            try:
                self._step(batch, rounds % self.how.attack_every == 0)
            except RuntimeError as error:
                self._shrink(batch, error)
            rounds += 1
        left = self.open + self.unsettled
        least = min((leaf.bound for leaf in left), default=self.p.enough)
        closed = not left and self.found is None
        return Outcome(closed, self.found, least, self.spent, self.tree)

    def _next(self) -> list[Leaf]:
        """Take the open leaves with the least bounds, of one group where groups have planes."""
        self.open.sort(key=lambda leaf: -leaf.bound)
        size, row = min(self.size, self.how.subproblems - self.spent), self.open[-1].row
        fit = [i for i, leaf in enumerate(self.open) if leaf.row == row or not self.p.roofs]
        picked = fit[-size:][::-1]
        batch = [self.open[i] for i in picked]
        for i in picked:
            del self.open[i]
        return batch

    def _over(self) -> bool:
        spent = self.how.clock() - self.started
        return spent > self.how.seconds or self.spent >= self.how.subproblems

    def _shrink(self, batch: list[Leaf], error: RuntimeError) -> None:
        """Put the batch back and take half as many, if it was memory that was missing."""
        missing = isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error)
        if not missing or len(batch) == 1:
            raise error
        self.size = len(batch) // 2
        self.open += batch

    def _step(self, leaves: list[Leaf], attack: bool) -> None:
        """Bound the leaves; close them or split them."""
        leaves, batch = self._bounded(leaves)
        self.spent += len(leaves)
        still = [i for i, leaf in enumerate(leaves) if self._left_open(leaf)]
        if not still:
            return
        batch = batch.keep(torch.tensor(still))
        leaves = [leaves[i] for i in still]
        seen: dict[int, Used] = {}
        network = self.p.network
        with torch.no_grad():
            row, choice = batch.row(), batch.choice()
            plane = backward(network, network.output, row, batch.bounds, choice, seen)
            x = batch.region.minimiser(plane.slope)
            self._try(x[:, 0], batch, attack)
            if self.found is None:
                self._split(leaves, batch, seen, x)

    def _left_open(self, leaf: Leaf) -> bool:
        if leaf.bound > self.p.enough:
            self.tree.close(leaf)
            return False
        return True

    def _bounded(self, leaves: list[Leaf]) -> tuple[list[Leaf], Batch]:
        batch = Batch.of(self.p, leaves, self.bent)
        ascent = Ascent(self.how.steps, self.how.lr, self.how.lr_multiplier, lr_roof=0.0)
        network, how = self.p.network, (batch.row, batch.shift, batch.weights, batch.rise)
        found = ascent(
            network,
            batch.region,
            network.output,
            Mixture(*how),
            batch.bounds,
            batch.slopes,
            batch.multipliers,
            lambda best: bool((best > self.p.enough).all()),
            batch.roofs,
        )
        weights = batch.weights if found.weights is None else found.weights
        batch = batch.with_choice(found.slopes, found.beta, weights)
        return self._updated(leaves, found.bound[:, 0], batch), batch

    def _updated(self, leaves: list[Leaf], bound: Tensor, batch: Batch) -> list[Leaf]:
        """Leaves with their new bounds, and with what gave these."""
        packed = {
            (n, side): t.flatten(2)[:, :, self.bent[n]].to(torch.float16)
            for n, pair in batch.slopes.items()
            for side, t in enumerate(pair)
            if t is not None
        }
        values, beta, weights = bound.tolist(), batch.betas(), batch.weights.tolist()
        return [
            replace(
                leaf,
                bound=max(values[i], leaf.bound),
                t={k: t[i] for k, t in packed.items()},
                beta=beta[i],
                weights=tuple(weights[i]),
            )
            for i, leaf in enumerate(leaves)
        ]

    def _try(self, x: Tensor, batch: Batch, attack: bool) -> None:
        """See whether a minimiser breaks a group, with a few steps of descent now and then."""
        steps = 10 if attack else 0
        network, region = self.p.network, batch.region
        best, values = descend(network, region, x, batch.a, batch.offset, steps)
        worst = values.amax(1)  # all rows of a group must be below zero
        i = int(worst.argmin())
        if float(worst[i]) < 0:
            self.found = best[i : i + 1]

    def _split(self, leaves: list[Leaf], batch: Batch, seen: dict[int, Used], x: Tensor) -> None:
        found = candidates(self.p.network, batch.bounds, seen, x, self.how.tries)
        chosen = best_splits(self.p, batch, found)
        for i, (leaf, cut) in enumerate(zip(leaves, chosen, strict=True)):
            if cut is None:
                self._settle(leaf, batch.keep(torch.tensor([i])))
                continue
            split = Split(cut.candidate.node, cut.candidate.index, cut.candidate.at)
            sides = zip(self.tree.cut(leaf.place, split), (1, -1), cut[1:], strict=True)
            for place, sign, bound in sides:
                path, beta = (*leaf.path, (split, sign)), (*leaf.beta, 0.0)
                child = replace(leaf, place=place, path=path, beta=beta)
                child.bound = max(leaf.bound, bound)
                if self._left_open(child):
                    self.open.append(child)
                else:
                    self.spent += 1

    def _settle(self, leaf: Leaf, batch: Batch) -> None:
        """Nothing is bent any more: what is left is a linear program."""
        exact = settle(self.p.network, leaf, batch, self.p.enough)
        if exact.leaf.bound > self.p.enough:
            self.tree.close(exact.leaf)
            return
        self.unsettled.append(exact.leaf)
        if exact.x is not None:
            with torch.no_grad():
                self._try(exact.x, batch, True)
