"""Cheap bounds first: intervals, CROWN, optimised slopes, branch and bound on what is left."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import IntEnum

import torch
from torch import Tensor

from saddlepoint.core.errors import Invalid
from saddlepoint.core.shapes import pieces
from saddlepoint.verify.alpha import Ascent, Slopes, initial
from saddlepoint.verify.branch import Branch, Outcome
from saddlepoint.verify.crown import crown
from saddlepoint.verify.ibp import ibp_margin
from saddlepoint.verify.interval import Bounds
from saddlepoint.verify.network import Network
from saddlepoint.verify.planes import least, lower_rows
from saddlepoint.verify.problem import Problem, bent, root
from saddlepoint.verify.refine import Refine
from saddlepoint.verify.region import Region
from saddlepoint.verify.spec import Spec
from saddlepoint.verify.tree import Tree

__all__ = ["Ladder", "Proof", "Rung", "Verdict"]

_ALPHA, _REFINE, _BRANCH = Ascent(steps=20), Refine(), Branch()

Progress = Callable[[str, int, int], None]  # rung, samples decided there, samples asked about


class Rung(IntEnum):
    """What decided a sample; 0 where nothing did."""

    NONE = 0
    IBP = 1
    CROWN = 2
    ALPHA = 3
    BRANCH = 4


@dataclass(frozen=True, eq=False)
class Proof:
    """What a certificate is made of: the problem, and a tree whose leaves all closed.

    problem is None where intervals were enough.
    """

    problem: Problem | None
    tree: Tree | None


@dataclass(frozen=True, eq=False)
class Verdict:
    """What is known of one sample.

    bound: upper bound on the margin, proved where it is <= 0. found: an input (1, *F) of the region
    that breaks the sample according to the network, or None. spent: subproblems; seconds: CPU time.
    """

    certified: bool
    rung: Rung
    bound: float
    found: Tensor | None = None
    proof: Proof | None = None
    spent: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Ladder:
    """Bound every sample of a region by ever dearer methods until it is decided.

    seconds: CPU time that branch and bound, with all that prepares it, may take for one sample;
    subproblems: how many it may bound. Where the number of subproblems ends the search, the verdict
    does not depend on the machine. clock: what counts seconds. rungs: the methods to use. batch:
    samples bounded at a time.

    Raises ``Invalid`` for negative budgets.
    """

    seconds: float = 10.0
    subproblems: int = 1 << 30
    rungs: tuple[Rung, ...] = (Rung.IBP, Rung.CROWN, Rung.ALPHA, Rung.BRANCH)
    batch: int = 16
    alpha: Ascent = _ALPHA
    refine: Refine = _REFINE
    branch: Branch = _BRANCH
    slack: float = 1e-5
    clock: Callable[[], float] = time.process_time

    def __post_init__(self) -> None:
        for name in ("seconds", "subproblems"):
            if not getattr(self, name) >= 0:
                raise Invalid(name, getattr(self, name), "a number >= 0")

    def __call__(
        self, network: Network, region: Region, spec: Spec, progress: Progress | None = None
    ) -> list[Verdict]:
        """Return a verdict for each sample of the region."""
        count = len(spec.offset)
        verdicts = [Verdict(False, Rung.NONE, torch.inf) for _ in range(count)]
        for rung, step in ((Rung.IBP, self._ibp), (Rung.CROWN, self._planes)):
            if rung in self.rungs:
                self._all(step, network, region, spec, verdicts)
                self._report(progress, rung.name, verdicts)
        if Rung.BRANCH in self.rungs and self.seconds and self.subproblems:
            for i in self._open(verdicts).tolist():
                rows = torch.tensor([i])
                verdicts[i] = self._search(network, region[rows], spec[rows], verdicts[i])
                self._report(progress, Rung.BRANCH.name, verdicts)
        return verdicts

    @staticmethod
    def _report(progress: Progress | None, name: str, verdicts: list[Verdict]) -> None:
        if progress is not None:
            decided = sum(v.certified or v.found is not None for v in verdicts)
            progress(name, decided, len(verdicts))

    @staticmethod
    def _open(verdicts: list[Verdict]) -> Tensor:
        return torch.tensor([i for i, v in enumerate(verdicts) if not v.certified]).long()

    def _all(
        self,
        step: Callable[[Network, Region, Spec], Iterator[Verdict]],
        network: Network,
        region: Region,
        spec: Spec,
        verdicts: list[Verdict],
    ) -> None:
        """Take one step on every open sample, a batch at a time; keep the better bound."""
        for rows in pieces(self._open(verdicts), self.batch):
            found = step(network, region[rows], spec[rows])
            for i, new in zip(rows.tolist(), found, strict=True):
                old = verdicts[i]
                verdicts[i] = new if new.bound < old.bound or new.certified else old

    def _ibp(self, network: Network, region: Region, spec: Spec) -> Iterator[Verdict]:
        with torch.no_grad():
            bound = spec.worst(ibp_margin(network, region.hull(), spec))
        for b in bound.tolist():
            proved = b <= -self.slack
            yield Verdict(proved, Rung.IBP, b, proof=Proof(None, None) if proved else None)

    def _planes(self, network: Network, region: Region, spec: Spec) -> Iterator[Verdict]:
        """CROWN, and optimised slopes where that is not enough."""
        with torch.no_grad():
            bounds = crown(network, region)
            a = lower_rows(network, spec.weight)
            low = least(network, region, network.output, a, bounds) - spec.offset
        rows = a.shape[1]
        slopes = initial(network, bounds, network.output, rows)
        proved = spec.worst(-low) <= -self.slack
        rung = torch.where(proved, Rung.CROWN, Rung.ALPHA)
        if Rung.ALPHA in self.rungs and not bool(proved.all()):
            some = (~proved).nonzero().squeeze(1)
            part = {n: x.take(some) for n, x in bounds.items()}
            mine = _take(slopes, some)
            found = self.alpha(network, region[some], network.output, a[some], part, mine)
            low[some] = torch.maximum(low[some], found.bound - spec.offset[some])
            mine = found.slopes
            for n, pair in mine.items():
                for t, new in zip(slopes[n], pair, strict=True):
                    if t is not None and new is not None:
                        t[some] = new
        worst = spec.worst(-low)
        for i, b in enumerate(worst.tolist()):
            one = torch.tensor([i])
            done = b <= -self.slack
            proof = None
            if done:
                p = self._problem(
                    network,
                    region[one],
                    spec[one],
                    {n: x.take(one) for n, x in bounds.items()},
                    _take(slopes, one),
                    low[one],
                )
                proof = Proof(p, single(p))
            yield Verdict(done, Rung(int(rung[i])), b, proof=proof)

    def _problem(
        self,
        network: Network,
        region: Region,
        spec: Spec,
        bounds: Bounds,
        slopes: Slopes,
        low: Tensor,
    ) -> Problem:
        """Groups of one sample, side by side: a group of fewer rows repeats its first."""
        members = [(spec.group == g).nonzero().squeeze(1) for g in range(spec.groups)]
        most = max(len(m) for m in members)
        index = torch.stack([torch.cat([m, m[:1].expand(most - len(m))]) for m in members])
        a = lower_rows(network, spec.weight)[0][index]
        picked: Slopes = {
            n: tuple(None if t is None else t[0][index] for t in pair)  # type: ignore[misc]
            for n, pair in slopes.items()
        }
        own = a, -spec.offset[0][index]
        return Problem(network, region, *own, bounds, picked, low[0][index], self.slack)

    def _search(self, network: Network, region: Region, spec: Spec, before: Verdict) -> Verdict:
        """Refined intervals, optimised slopes, then branch and bound: one sample."""
        started = self.clock()
        with torch.no_grad():
            bounds = crown(network, region)
        bounds, raised = self.refine(network, region, bounds)
        a = lower_rows(network, spec.weight)
        slopes = initial(network, bounds, network.output, a.shape[1])
        found = self.alpha(network, region, network.output, a, bounds, slopes)
        low = found.bound - spec.offset
        problem = self._problem(network, region, spec, bounds, found.slopes, low)
        problem = replace(problem, raised=raised)
        spent = self.clock() - started
        branch = replace(
            self.branch,
            seconds=max(0.0, self.seconds - spent),
            subproblems=self.subproblems,
            clock=self.clock,
        )
        outcome: Outcome = branch(problem, range(spec.groups))
        bound = min(before.bound, float(spec.worst(-low)), -outcome.bound)
        return Verdict(
            outcome.closed,
            Rung.BRANCH,
            min(bound, -self.slack) if outcome.closed else bound,
            outcome.found,
            Proof(problem, outcome.tree) if outcome.closed else None,
            outcome.spent,
            self.clock() - started,
        )


def _take(slopes: Slopes, rows: Tensor) -> Slopes:
    return {
        n: tuple(None if t is None else t[rows].clone() for t in pair)  # type: ignore[misc]
        for n, pair in slopes.items()
    }


def single(problem: Problem) -> Tree:
    """Return a tree of one leaf for each group: bounds that needed no split."""
    tree, inside = Tree(), bent(problem)
    for group in range(len(problem.a)):
        tree.close(root(problem, tree, group, inside))
    return tree
