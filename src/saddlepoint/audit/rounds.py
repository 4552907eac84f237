"""The rounds of an audit: the clean inputs, then what the strategy asks for, chunk by chunk."""

import time
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saddlepoint.audit.evidence import CODES, Evidence, Round
from saddlepoint.audit.journal import Journal, Record
from saddlepoint.audit.membership import inspect
from saddlepoint.audit.plan import Move, Plan
from saddlepoint.audit.progress import Progress
from saddlepoint.audit.samples import Samples
from saddlepoint.audit.scores import ScoreTable
from saddlepoint.audit.team import Team
from saddlepoint.core.access import Attack
from saddlepoint.core.detected import wanted
from saddlepoint.core.door import Door
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid, Unanswered, Unsound, Unsupported
from saddlepoint.core.goal import Goal, Targeted, Untargeted
from saddlepoint.core.ledger import Status
from saddlepoint.core.oracle import Oracle
from saddlepoint.core.referee import hits_of, judge
from saddlepoint.core.search import attack_rows, check_inputs, verdict
from saddlepoint.core.threat import parametric

__all__ = ["Rounds"]

_RIGHT = "the model is right about it"


@dataclass
class Rounds:
    """Runs rounds chunk by chunk, journals each chunk, and fills the evidence."""

    door: Door
    plan: Plan
    samples: Samples
    journal: Journal
    evidence: Evidence
    scores: ScoreTable
    progress: Progress
    team: Team = field(default_factory=Team)
    names: Counter[str] = field(default_factory=Counter)

    def clean(self) -> None:
        """Ask about every input as it is."""
        self._run(Round.empty("clean", "clean", "clean", np.arange(self.plan.n)), None)

    def attack(self, move: Move) -> None:
        """Run one attack on the samples of the move."""
        arm = repr(move.attack)
        self.names[arm] += 1
        name = arm if self.names[arm] == 1 else f"{arm} #{self.names[arm]}"
        self._run(Round.empty(name, arm, move.stage, move.rows), move.attack)

    def _run(self, round_: Round, attack: Attack[Any] | None) -> None:
        """Do what the journal lacks of this round, wait for the others, take all of it in."""
        number, done, total = len(self.evidence.rounds), 0, len(round_.rows)
        broken = int(self.evidence.marked(Status.BROKEN).sum())
        self.evidence.rounds.append(round_)
        self.progress(round_.name, 0, total, broken)
        for i, chunk in enumerate(self._chunks(round_)):
            self.team.heed()
            if self.team.mine(i):
                record = self._record_of(number, round_.name, attack, chunk)
                broken += self._newly(record, number)
            done += len(chunk)
            self.progress(round_.name, min(done, total - 1), total, broken)
        self.team.wait()
        self.journal.refresh()
        for chunk in self._chunks(round_):
            self._take(number, round_, chunk)
        self.progress(round_.name, total, total, int(self.evidence.marked(Status.BROKEN).sum()))

    def _chunks(self, round_: Round) -> Iterator[Tensor]:
        """Cut a round's rows, one chunk in memory at a time."""
        for first in range(0, len(round_.rows), self.plan.batch_size):
            rows = round_.rows[first : first + self.plan.batch_size]
            yield torch.from_numpy(rows.astype(np.int64))

    def _newly(self, record: Record, number: int) -> int:
        return int((record["status"] == CODES.index(Status.BROKEN)).sum())

    def _record_of(
        self, number: int, name: str, attack: Attack[Any] | None, chunk: Tensor
    ) -> Record:
        """Return the chunk's record, from the journal if it is there."""
        record = self.journal.read(number, chunk.numpy())
        if record is None or record["error"].item():  # an attack that raised gets another chance
            # A randomised model answers a chunk alike, whatever was asked before it.
            self.door.reseed(zlib.crc32(f"{self.plan.seed} {name} {int(chunk[0])}".encode()))
            record = self._clean(chunk) if attack is None else self._attack(name, attack, chunk)
            self.journal.write(number, record)
        return record

    def _take(self, number: int, round_: Round, chunk: Tensor) -> None:
        record = self.journal.take(number, chunk.numpy())
        if record is None:
            raise OSError(f"the journal lost rows {int(chunk[0])} … of {round_.name}: run it again")
        round_.take(record)
        for row, fault in zip(record["witness_rows"], record["faults"], strict=True):
            if fault:
                self.evidence.rejected[number, int(row)] = str(fault)
        if number and self.plan.votes > 1:
            good = record["faults"] == ""
            pairs = zip(record["witness_rows"][good], record["hits"][good], strict=True)
            for row, hits in pairs:
                self.evidence.hits.setdefault(int(row), int(hits))
        if number == 0:
            self.evidence.label[record["rows"]] = record["label"]
            self.evidence.prediction[record["rows"]] = record["scores"].argmax(1)
            if self.evidence.target is not None:
                self.evidence.target[record["rows"]] = record["target"]
            self.scores.put(record["rows"], record["scores"])

    def _batch(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        x, y = self.samples.batch(rows)
        check_inputs(x, Untargeted(y), self.plan.threat[rows])
        x = self.door.fit(x)
        return x, y.to(x.device)

    def _clean(self, rows: Tensor) -> Record:
        began = time.perf_counter()
        x, y = self._batch(rows)
        goal: Goal = Untargeted(y)  # an input that is rejected as it is, is an error as well
        target = self.plan.target
        try:
            if target is not None:
                goal = target.goal(rows, y, self.door.scores(x, self._views("target", rows)))
            threat, views = _on(self.plan.threat[rows], x), self._views("clean", rows)
            oracle = Oracle(self.door, x, goal, threat, draw=views)
        except (Invalid, Unsupported, Unanswered, Unsound):
            raise
        except Exception as error:
            raise Unsupported(
                f"the model failed on the clean samples {int(rows[0])} to {int(rows[-1])}: "
                f"{error}; what was finished is kept, and the same call continues"
            ) from error
        oracle.ledger.given = 0  # here the clean input is the whole attack
        if isinstance(goal, Targeted):  # a sample of the target's class cannot be moved there
            free = goal.label != y
            oracle.ledger.broken = oracle.ledger.broken & free
            oracle.ledger.margin = torch.where(free, oracle.ledger.margin, torch.nan)
        record = self._record("clean", rows, oracle, None, began)
        record["label"] = y.cpu().numpy()
        if isinstance(goal, Targeted):
            record["target"] = goal.label.cpu().numpy()
        record["scores"] = oracle.clean.float().cpu().numpy()
        return record

    def _attack(self, name: str, attack: Attack[Any], rows: Tensor) -> Record:
        began = time.perf_counter()
        x, y = self._batch(rows)
        oracle = Oracle(
            self.door,
            x,
            wanted(self.door.model, y, self.evidence.targets(rows)),
            _on(self.plan.threat[rows], x),
            access=self.plan.access,
            # The first point that wins a vote may owe it to luck; the worst of a whole search is
            # put to a fresh vote at the end.
            early_stop=self.plan.votes == 1,
            clean=self.scores.get(rows).to(device=x.device, dtype=x.dtype),
            draw=self._views(name, rows),
            allowance=self._allowance(rows, x.device),
        )
        draw = Draw.of(self.plan.seed, rows.to(x.device)).tag(name)
        error = attack_rows(attack, oracle, draw)
        return self._record(name, rows, oracle, error, began)

    def _allowance(self, rows: Tensor, device: torch.device) -> Tensor | None:
        """(B,) what earlier rounds have left of each sample's questions; None without a limit."""
        if self.plan.max_queries is None:
            return None
        left = self.plan.max_queries - self.evidence.spent(rows.numpy())
        return torch.from_numpy(left.astype(np.int32)).to(device)

    def _views(self, name: str, rows: Tensor) -> Draw | None:
        """Where transformations before the model come from, in the round of this name."""
        if self.plan.under is None:
            return None
        return Draw.of(self.plan.seed, rows).to(self.door.device or rows.device).tag(name, "views")

    def _record(
        self, name: str, rows: Tensor, oracle: Oracle[Any], error: str | None, began: float
    ) -> Record:
        ledger = oracle.ledger
        status = np.array([CODES.index(s) for s in verdict(ledger, error)], dtype=np.int8)
        broken = ledger.broken.nonzero().squeeze(1)
        number = rows.numpy()[broken.cpu().numpy()]
        x = oracle.x[broken]
        moved = oracle.threat[broken].apply(x, ledger.u[broken]).cpu().numpy()
        stored, way = self._store(moved), ledger.u[broken].cpu().numpy()
        goal = oracle.goal[broken]
        faults, margin = self._faults(name, goal, x.cpu().numpy(), stored, number, way)
        place, columns = broken.cpu().numpy(), _counters(oracle)
        # A witness that the checker refuses proves nothing, and neither does its sample.
        status[place[faults != ""]] = CODES.index(Status.ERROR)
        lost = faults == _RIGHT if self.plan.votes > 1 else np.zeros(len(faults), dtype=np.bool_)
        # Of a randomised model it is no fault: fresh draws found the break to be luck.
        status[place[lost]] = CODES.index(Status.SURVIVED)
        columns["margin"][place[lost]] = np.minimum(margin[lost], 0)
        kept = torch.from_numpy(np.flatnonzero(~lost))
        hits = self._hits(name, goal[kept.to(broken.device)], stored[~lost], number[~lost])
        return {
            "rows": rows.numpy(),
            "status": status,
            **columns,
            "rows_forward": np.int64(ledger.rows_forward),
            "rows_backward": np.int64(ledger.rows_backward),
            "seconds": np.float64(time.perf_counter() - began),
            "error": np.str_(error or ""),
            "witness_rows": number[~lost],
            "witness": stored[~lost],
            **({"witness_u": way[~lost]} if parametric(self.plan.threat) else {}),
            "faults": faults[~lost],
            "hits": hits,
        }

    def _faults(
        self,
        name: str,
        goal: Goal,
        x: "np.ndarray[Any, Any]",
        stored: "np.ndarray[Any, Any]",
        number: "np.ndarray[Any, Any]",
        way: "np.ndarray[Any, Any]",
    ) -> "tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]":
        """Judge witnesses as they will be read back: membership, that the model errs; margins."""
        if not len(number):
            return np.empty(0, dtype=np.str_), np.empty(0)
        faults = inspect(x, stored, self.plan.threat, number, way)
        views = self._views(f"{name} judged", torch.from_numpy(number))
        margin, _ = judge(self.door, self._read(stored), goal, views)
        said = [
            fault or ("" if value > 0 else _RIGHT)
            for fault, value in zip(faults, margin.tolist(), strict=True)
        ]
        return np.array(said, dtype=np.str_), margin.cpu().numpy()

    def _hits(
        self,
        name: str,
        goal: Goal,
        stored: "np.ndarray[Any, Any]",
        number: "np.ndarray[Any, Any]",
    ) -> "np.ndarray[Any, Any]":
        """How many fresh draws each witness of a randomised model breaks."""
        if self.plan.votes == 1 or not len(stored):
            return np.zeros(len(stored), dtype=np.int32)
        views = self._views(f"{name} tried", torch.from_numpy(number))
        hits = hits_of(self.door, self._read(stored), goal, views)
        return hits.cpu().numpy().astype(np.int32)

    def _read(self, stored: "np.ndarray[Any, Any]") -> Tensor:
        """Witnesses as inputs of the model."""
        values = torch.from_numpy(stored)
        return self.door.fit(values.float() / 255 if values.dtype == torch.uint8 else values)

    def _store(self, moved: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
        """8-bit witnesses are kept as 8-bit images, which loses nothing and shows that it can."""
        if hasattr(self.plan.threat, "to_type"):
            moved = np.rint(moved * 255).astype(np.uint8)
        return moved


def _counters(oracle: Oracle[Any]) -> Record:
    ledger = oracle.ledger
    return {
        "margin": oracle.nearness().cpu().numpy().astype(np.float32),
        "forward": ledger.forward.cpu().numpy(),
        "backward": ledger.backward.cpu().numpy(),
        "nonfinite": ledger.nonfinite.cpu().numpy(),
        "zero_gradient": ledger.zero_gradient.cpu().numpy(),
    }


def _on(threat: Any, x: Tensor) -> Any:  # noqa: ANN401 - a threat model
    return threat.to(x.device) if hasattr(threat, "to") else threat
