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

from saddlepoint.verify.alpha import Ascent
from saddlepoint.verify.batch import Batch
from saddlepoint.verify.crown import backward
from saddlepoint.verify.descend import descend
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
        self.bent = bent(problem)
        self.open = [root(problem, self.tree, g, self.bent) for g in groups]
        self.found: Tensor | None = None

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
        leaves, batch = self._bounded(leaves)
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

    def _bounded(self, leaves: list[Leaf]) -> tuple[list[Leaf], Batch]:
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
        return self._updated(leaves, bound, batch), batch

    def _updated(self, leaves: list[Leaf], bound: Tensor, batch: Batch) -> list[Leaf]:
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

    def _try(self, x: Tensor, batch: Batch, attack: bool) -> None:
        """See whether a minimiser breaks a group, with a few steps of descent now and then."""
        point, rows = x[:, 0], batch.region
        steps = 10 if attack else 0
        best, values = descend(self.p.network, rows, point, batch.a, batch.offset, steps)
        worst = values.amax(1)  # all rows of a group must be below zero
        i = int(worst.argmin())
        if float(worst[i]) < 0:
            self.found = best[i : i + 1]

    def _split(self, leaves: list[Leaf], batch: Batch, seen: dict[int, Tensor], x: Tensor) -> None:
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
