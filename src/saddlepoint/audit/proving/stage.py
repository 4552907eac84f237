"""The verification that follows the attacks: cheap bounds for all, then search in turns."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saddlepoint.audit.plan import Move
from saddlepoint.audit.proving.given import BranchAndBound
from saddlepoint.audit.proving.proofs import Proofs
from saddlepoint.audit.proving.prover import Prover
from saddlepoint.audit.proving.sandwich import check
from saddlepoint.audit.proving.settings import Turn, Verification
from saddlepoint.audit.rounds import Rounds
from saddlepoint.core.errors import Unsupported
from saddlepoint.core.ledger import Status
from saddlepoint.verify.ladder import Ladder, Rung

__all__ = ["prove"]

Array = np.ndarray[Any, Any]
# Numbers of the journal's rounds, far above those of attacks.
_INTERVALS, _PLANES, _BOUNDS, _TURNS = 1 << 24, (1 << 24) + 1, (1 << 24) + 2, (1 << 24) + 16
_CHUNK = 16  # samples whose bounds are one record of the journal


def prove(rounds: Rounds, how: Verification, folder: Path | None) -> Proofs:
    """Certify what the attacks have left of the samples, or say why nothing can be certified.

    Raises ``Unsound`` where a bound contradicts an attack.
    """
    e = rounds.evidence
    try:
        with torch.enable_grad():
            prover = Prover.of(rounds.door, rounds.plan, rounds.samples, e.classes)
            return _Stage(rounds, how, folder, prover, Proofs.empty(e.n)).run()
    except Unsupported as error:
        return Proofs.empty(e.n, str(error))


@dataclass
class _Work:
    """Samples to bound, record by record: where records lie in the journal, and who computes them.

    ladder: what to climb, given the CPU time that is left. limited: whether the budget ends it.
    """

    number: int
    name: str
    chunks: Sequence[Tensor]
    ladder: Callable[[float], Ladder]
    limited: bool = True
    keep: bool = True


@dataclass
class _Stage:
    """One verification under way."""

    rounds: Rounds
    how: Verification
    folder: Path | None
    prover: Prover
    proofs: Proofs
    against: Proofs = field(init=False)  # bounds of samples that attacks have broken

    def __post_init__(self) -> None:
        self.against = Proofs.empty(self.proofs.certified.size)

    def run(self) -> Proofs:
        """Compare bounds with attacks, bound what stands, search what is still open."""
        self._sandwich()
        self._bounds()
        for number, turn in enumerate(self.how.turns()):
            rows = self._open()
            if self.proofs.unfinished or not len(rows) or not _worth(turn):
                break
            self._search(number, turn, rows)
        check(self.rounds, "the verifier", self.proofs.bound, self.folder)
        return self.proofs

    def _sandwich(self) -> None:
        """Bound what attacks have broken: all by intervals, some by planes."""
        broken = np.flatnonzero(self.rounds.evidence.marked(Status.BROKEN))
        few = broken[: self.how.sandwich]
        size = self.rounds.plan.batch_size
        for number, rung, rows, chunk in (
            (_INTERVALS, Rung.IBP, broken, size),
            (_PLANES, Rung.CROWN, few, _CHUNK),
        ):
            if len(rows):
                ladder = Ladder(rungs=(rung,), batch=chunk)
                work = _Work(
                    number,
                    f"sandwich: {rung.name} of broken samples",
                    _pieces(rows, chunk),
                    lambda _, ladder=ladder: ladder,  # type: ignore[misc]
                    limited=False,
                    keep=False,
                )
                self._do(work, self.against)
                check(self.rounds, rung.name, self.against.bound, self.folder)
            self.proofs.sandwiched[rung.name] = len(rows)
        for method, seconds in self.against.seconds.items():
            self.proofs.clock(method, seconds)

    def _bounds(self) -> None:
        """IBP, CROWN and optimised slopes for everything that is right and unbroken."""
        ladder = Ladder(seconds=0, rungs=(Rung.IBP, Rung.CROWN, Rung.ALPHA), batch=_CHUNK)
        chunks = _pieces(self._open(), _CHUNK)
        self._do(_Work(_BOUNDS, "verify: bounds", chunks, lambda _: ladder), self.proofs)

    def _search(self, number: int, turn: Turn, rows: Array) -> None:
        """One turn of branch and bound; what it finds becomes a round of an attack."""

        def ladder(left: float) -> Ladder:
            how = Ladder(seconds=min(turn.seconds, left), rungs=(Rung.BRANCH,))
            most = turn.subproblems
            return how if most is None else replace(how, subproblems=most)

        order = rows[np.argsort(self.proofs.bound[rows], kind="stable")]
        size = _words(turn)
        name = f"verify: branch and bound, {size} a sample"
        work = _Work(_TURNS + number, name, _pieces(order, 1), ladder)
        before = set(self.proofs.found)
        self._do(work, self.proofs)
        new = np.array(sorted(set(self.proofs.found) - before), dtype=np.int64)
        if len(new):
            attack = BranchAndBound({int(i): self.proofs.found[int(i)] for i in new})
            self.rounds.attack(Move(attack, "branch", new))
            confirmed = self.rounds.evidence.marked(Status.BROKEN)
            self.proofs.refuted.update(int(i) for i in new if not confirmed[i])

    def _open(self) -> Array:
        """Samples that are right when clean and neither broken nor certified, nor beyond help."""
        open_ = ~self.rounds.evidence.marked(Status.BROKEN) & ~self.proofs.certified
        open_[list(self.proofs.refuted)] = False
        # Searched to the end once, where the checker of certificates saw a gap that is rounding.
        hopeless = [i for i in self.proofs.refused if self.proofs.rung[i] == Rung.BRANCH]
        open_[hopeless] = False
        return np.flatnonzero(open_)

    def _do(self, work: _Work, into: Proofs) -> None:
        """Compute the records that the journal lacks, as far as time allows; take in all."""
        team, journal = self.rounds.team, self.rounds.journal
        # Seconds of records, which every process and every later call reads alike.
        spent, own, limit = self.proofs.spent_seconds, 0.0, self.how.seconds
        total = len(work.chunks)
        for i, rows in enumerate(work.chunks):
            self.rounds.progress(work.name, min(i, total - 1), total, self._certified())
            team.heed()
            if not team.mine(i):
                continue
            record = journal.read(work.number, rows.numpy())
            if record is None:
                left = math.inf if limit is None else limit - spent - own * team.size
                if work.limited and left <= 0:
                    break
                record = self.prover.record(rows, work.ladder(left), work.keep)
                journal.write(work.number, record)
            own += float(record["seconds"])
        team.wait()
        journal.refresh()
        self._take(work, into)
        self.rounds.progress(work.name, total, total, self._certified())

    def _take(self, work: _Work, into: Proofs) -> None:
        for rows in work.chunks:
            record = self.rounds.journal.read(work.number, rows.numpy())
            if record is not None:
                into.take(record)
            elif work.limited:
                into.unfinished = True
            else:
                raise OSError(f"the journal lost rows of {work.name}: run it again")

    def _certified(self) -> int:
        return int(self.proofs.certified.sum())


def _worth(turn: Turn) -> bool:
    return turn.seconds > 0 and turn.subproblems != 0


def _words(turn: Turn) -> str:
    limits = [] if math.isinf(turn.seconds) else [f"{turn.seconds:g} s"]
    limits += [] if turn.subproblems is None else [f"{turn.subproblems:,} subproblems"]
    return " or ".join(limits)


def _pieces(rows: Array, size: int) -> list[Tensor]:
    whole = torch.from_numpy(np.asarray(rows, dtype=np.int64))
    return list(torch.split(whole, size)) if len(whole) else []
