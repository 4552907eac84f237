"""The rounds of an audit: the clean inputs, then each attack on what still stands."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saddlepoint.audit.evidence import CODES, Evidence
from saddlepoint.audit.journal import Journal, Record
from saddlepoint.audit.plan import Plan
from saddlepoint.audit.samples import Samples
from saddlepoint.audit.witness import inspect
from saddlepoint.core.door import Door
from saddlepoint.core.draw import Draw
from saddlepoint.core.goal import Goal, Untargeted
from saddlepoint.core.ledger import Ledger, Status
from saddlepoint.core.oracle import Oracle
from saddlepoint.core.referee import judge
from saddlepoint.core.search import attack_rows, check_inputs, verdict
from saddlepoint.core.shapes import pieces

__all__ = ["Progress", "Rounds"]

# (attack's name, samples done, samples to do in this round, broken so far)
Progress = Callable[[str, int, int, int], None]


@dataclass
class Rounds:
    """Runs rounds chunk by chunk, journals each chunk, and fills the evidence."""

    door: Door
    plan: Plan
    samples: Samples
    journal: Journal
    evidence: Evidence
    progress: Progress

    def run(self, round_: int) -> None:
        """Run one round on the samples that are still open, or read it from the journal."""
        rows = self.evidence.open_rows(round_)
        name, done = self.evidence.names[round_], 0
        self.progress(name, 0, len(rows), self._broken())
        for chunk in pieces(torch.from_numpy(rows), self.plan.batch_size):
            record = self.journal.read(round_, chunk.numpy())
            if record is None or str(record["error"]):  # an attack that raised gets another chance
                record = self._clean(chunk) if round_ == 0 else self._attack(round_, chunk)
                self.journal.write(round_, record)
            self.evidence.take(round_, record)
            done += len(chunk)
            self.progress(name, done, len(rows), self._broken())

    def _broken(self) -> int:
        return int((self.evidence.status == CODES.index(Status.BROKEN)).any(axis=0).sum())

    def _batch(self, rows: Tensor) -> tuple[Tensor, Untargeted]:
        x, y = self.samples.batch(rows)
        goal = Untargeted(y)
        check_inputs(x, goal, self.plan.threat[rows])
        x = self.door.fit(x)
        return x, Untargeted(y.to(x.device))

    def _clean(self, rows: Tensor) -> Record:
        began = time.perf_counter()
        x, goal = self._batch(rows)
        oracle = Oracle(self.door, x, goal, _on(self.plan.threat[rows], x))
        oracle.ledger.given = 0  # here the clean input is the whole attack
        record = self._record(rows, oracle, None, began)
        record["label"] = goal.label.cpu().numpy()
        record["scores"] = oracle.clean.float().cpu().numpy()
        return record

    def _attack(self, round_: int, rows: Tensor) -> Record:
        began = time.perf_counter()
        x, goal = self._batch(rows)
        clean = torch.from_numpy(self.evidence.scores[rows.numpy()])
        oracle = Oracle(
            self.door,
            x,
            goal,
            _on(self.plan.threat[rows], x),
            access=self.plan.access,
            clean=clean.to(device=x.device, dtype=x.dtype),
        )
        name = self.evidence.names[round_]
        draw = Draw.of(self.plan.seed, rows.to(x.device)).tag(name)
        error = attack_rows(self.plan.attacks[round_ - 1], oracle, draw)
        return self._record(rows, oracle, error, began)

    def _record(self, rows: Tensor, oracle: Oracle[Any], error: str | None, began: float) -> Record:
        ledger = oracle.ledger
        status = np.array([CODES.index(s) for s in verdict(ledger, error)], dtype=np.int8)
        broken = ledger.broken.nonzero().squeeze(1)
        number = rows.numpy()[broken.cpu().numpy()]
        x = oracle.x[broken]
        moved = oracle.threat[broken].apply(x, ledger.u[broken]).cpu().numpy()
        stored = self._store(moved)
        faults = self._faults(oracle.goal[broken], x.cpu().numpy(), stored, number)
        # A witness that the checker refuses proves nothing, and neither does its sample.
        wrong = np.array([bool(f) for f in faults], dtype=bool)
        status[broken.cpu().numpy()[wrong]] = CODES.index(Status.ERROR)
        return {
            "rows": rows.numpy(),
            "status": status,
            **_counters(ledger),
            "rows_forward": np.int64(ledger.rows_forward),
            "rows_backward": np.int64(ledger.rows_backward),
            "seconds": np.float64(time.perf_counter() - began),
            "error": np.str_(error or ""),
            "witness_rows": number,
            "witness": stored,
            "faults": np.array(faults, dtype=np.str_),
        }

    def _faults(
        self,
        goal: Goal,
        x: "np.ndarray[Any, Any]",
        stored: "np.ndarray[Any, Any]",
        number: "np.ndarray[Any, Any]",
    ) -> list[str]:
        """Judge witnesses as they will be read back: membership, and that the model errs."""
        if not len(number):
            return []
        faults = inspect(x, stored, self.plan.threat, number)
        values = torch.from_numpy(stored)
        moved = values.float() / 255 if values.dtype == torch.uint8 else values
        margin, _ = judge(self.door, self.door.fit(moved), goal)
        return [
            fault or ("" if value > 0 else "the model is right about it")
            for fault, value in zip(faults, margin.tolist(), strict=True)
        ]

    def _store(self, moved: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
        """8-bit witnesses are kept as 8-bit images, which loses nothing and shows that it can."""
        if hasattr(self.plan.threat, "to_type"):
            moved = np.rint(moved * 255).astype(np.uint8)
        return moved


def _counters(ledger: Ledger) -> Record:
    return {
        "margin": ledger.margin.cpu().numpy().astype(np.float32),
        "forward": ledger.forward.cpu().numpy(),
        "backward": ledger.backward.cpu().numpy(),
        "nonfinite": ledger.nonfinite.cpu().numpy(),
        "zero_gradient": ledger.zero_gradient.cpu().numpy(),
    }


def _on(threat: Any, x: Tensor) -> Any:  # noqa: ANN401 - a threat model
    return threat.to(x.device) if hasattr(threat, "to") else threat
