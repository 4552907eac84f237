"""Cheap bounds first: intervals, CROWN, optimised slopes, branch and bound on what is left."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import IntEnum

import torch
from torch import Tensor

from saddlepoint.core.errors import Invalid
from saddlepoint.core.shapes import pieces
from saddlepoint.verify.alpha import Ascent, initial
from saddlepoint.verify.branch import Branch, Outcome
from saddlepoint.verify.crown import crown
from saddlepoint.verify.ibp import ibp_margin
from saddlepoint.verify.interval import Bounds
from saddlepoint.verify.network import Network
from saddlepoint.verify.planes import least, lower_rows
from saddlepoint.verify.problem import (
    Problem,
    covered,
    problem_of,
    put,
    side_by_side,
    single,
    slack,
    take,
)
from saddlepoint.verify.refine import Raised, Refine
from saddlepoint.verify.region import Region
from saddlepoint.verify.roof import roofs
from saddlepoint.verify.spec import Spec
from saddlepoint.verify.tree import Tree

__all__ = ["Ladder", "Proof", "Rung", "Verdict"]

_ALPHA, _REFINE, _BRANCH = Ascent(steps=20), Refine(), Branch()

_SHARE = 0.3  # of a sample's time that refining intervals may take
_FIRST, _FIRST_LEAST, _FIRST_COUNT = 0.2, 1.0, 8  # of a sample's budget that goes without planes
_FEW = 256  # subproblems below which planes are not tried
_ROOT = 4  # times the steps of the cheap bounds, where planes lean
_LEAST = 2.0  # seconds for a sample's planes, whatever branch and bound may take

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
    samples bounded at a time. alpha, refine, branch: how slopes ascend, which intervals are bounded
    anew before the search, and how that splits. slack: what a bound must be below zero by, relative
    to the scores, so that rounding cannot matter: several times what float32 has.

    Raises ``Invalid`` for negative budgets.
    """

    seconds: float = 10.0
    subproblems: int = 1 << 30
    rungs: tuple[Rung, ...] = (Rung.IBP, Rung.CROWN, Rung.ALPHA, Rung.BRANCH)
    batch: int = 16
    alpha: Ascent = _ALPHA
    refine: Refine = _REFINE
    branch: Branch = _BRANCH
    slack: float = 4e-6
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
        proved = bound <= -slack(network, region, spec, self.slack)
        for b, done in zip(bound.tolist(), proved.tolist(), strict=True):
            yield Verdict(done, Rung.IBP, b, proof=Proof(None, None) if done else None)

    def _planes(self, network: Network, region: Region, spec: Spec) -> Iterator[Verdict]:
        """CROWN, and optimised slopes where that is not enough."""
        over = self._deadline(max(self.seconds, _LEAST) * len(spec.offset))
        enough = slack(network, region, spec, self.slack)
        with torch.no_grad():
            bounds = crown(network, region, over)
            a = lower_rows(network, spec.weight)
            low = least(network, region, network.output, a, bounds) - spec.offset
        slopes = initial(network, bounds, network.output, a.shape[1])
        early = spec.worst(-low) <= -enough
        some = (~early).nonzero().squeeze(1)
        if Rung.ALPHA in self.rungs and len(some) and not over():
            part = {n: x.take(some) for n, x in bounds.items()}
            mine = take(slopes, some)
            found = self.alpha(network, region[some], network.output, a[some], part, mine)
            low[some] = torch.maximum(low[some], found.bound - spec.offset[some])
            put(slopes, some, found.slopes)
        for i, b in enumerate(spec.worst(-low).tolist()):
            one, proof = torch.tensor([i]), None
            if b <= -float(enough[i]):
                here = region[one], spec[one], {n: x.take(one) for n, x in bounds.items()}
                problem = problem_of(network, *here, take(slopes, one), low[one], float(enough[i]))
                proof = Proof(problem, single(problem))
            rung = Rung.CROWN if early[i] else Rung.ALPHA
            yield Verdict(proof is not None, rung, b, proof=proof)

    def _deadline(self, seconds: float) -> Callable[[], bool]:
        started = self.clock()
        return lambda: self.clock() - started > seconds

    def _search(self, network: Network, region: Region, spec: Spec, before: Verdict) -> Verdict:
        """One sample: with chords above ReLUs first, then with planes that lean.

        Planes bound better and cost more, in time and in the size of the certificate.
        """
        started = self.clock()
        first = min(self.seconds, max(_FIRST * self.seconds, _FIRST_LEAST))
        few = self.subproblems < _FEW  # a search that starts anew would have no room left
        whole = few or first == self.seconds < torch.inf
        count = self.subproblems if whole else -(-self.subproblems // _FIRST_COUNT)
        plain = replace(self, refine=replace(self.refine, lean=False))
        verdict = plain._refined(network, region, spec, before, first, count)
        left = self.seconds - (self.clock() - started)
        count = self.subproblems - verdict.spent
        decided = verdict.certified or verdict.found is not None
        none_left = few or left <= 0 or count <= 0
        if decided or none_left or not self.refine.leans(network, region):
            return verdict
        last = self._refined(network, region, spec, verdict, left, count)
        spent, seconds = verdict.spent + last.spent, self.clock() - started
        return replace(last, spent=spent, seconds=seconds)

    def _refined(
        self,
        network: Network,
        region: Region,
        spec: Spec,
        before: Verdict,
        seconds: float,
        subproblems: int,
    ) -> Verdict:
        """Refined intervals, optimised slopes, then branch and bound: one sample."""
        started = self.clock()
        with torch.no_grad():
            bounds = crown(network, region, self._deadline(seconds))
        passes = _SHARE * self.seconds / max(self.clock() - started, 1e-3)
        refine = self.refine.within(passes)
        raised: dict[int, Raised] = {}
        if refine is not None:
            bounds, raised = refine(network, region, bounds)
        problem, low = self._problem(network, region, spec, bounds, raised)
        spent = self.clock() - started
        branch = replace(
            self.branch,
            seconds=max(0.0, seconds - spent),
            subproblems=subproblems,
            clock=self.clock,
        )
        outcome: Outcome = branch(problem, range(spec.groups))
        bound = min(before.bound, float(spec.worst(-low)))
        if outcome.found is None:  # of a search that stopped there is no better bound
            bound = min(bound, -outcome.bound)
        proof = Proof(problem, outcome.tree) if outcome.closed else None
        how = outcome.found, proof, outcome.spent, self.clock() - started
        return Verdict(outcome.closed, Rung.BRANCH, bound, *how)

    def _problem(
        self,
        network: Network,
        region: Region,
        spec: Spec,
        bounds: Bounds,
        raised: dict[int, Raised],
    ) -> tuple[Problem, Tensor]:
        """What is to be decided, with optimised slopes and planes, and the lower bounds of rows."""
        a = lower_rows(network, spec.weight)
        slopes = initial(network, bounds, network.output, a.shape[1])
        lean, ascent = bool(raised) and self.refine.lean, self.alpha
        covers = roofs(network, region, network.output, bounds, a.shape[1]) if lean else {}
        if covers:
            ascent = replace(ascent, steps=_ROOT * ascent.steps)
        found = ascent(network, region, network.output, a, bounds, slopes, roofs=covers)
        low = found.bound - spec.offset
        enough = float(slack(network, region, spec, self.slack))
        problem = problem_of(network, region, spec, bounds, found.slopes, low, enough)
        problem = covered(replace(problem, raised=raised), found.roofs, side_by_side(spec))
        return problem, low
