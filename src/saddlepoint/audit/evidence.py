"""What an audit knows: one row per attack and sample it was run on, and nothing unobserved."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from saddlepoint.audit.plan import Plan
from saddlepoint.audit.proving.proofs import Proofs
from saddlepoint.core.ledger import Status

if TYPE_CHECKING:
    from saddlepoint.audit.perceptual import Perceived

__all__ = ["CODES", "COLUMNS", "Evidence", "Round", "Stage", "code"]

Array = np.ndarray[Any, Any]
Stage = str  # "clean", "attack", "pilot", "suite" or "branch"

# The order is part of the file format of evidence.npz.
CODES = (Status.NOT_RUN, Status.SURVIVED, Status.BROKEN, Status.ERROR)
COLUMNS = {
    "status": np.int8,
    "margin": np.float32,
    "forward": np.int32,
    "backward": np.int32,
    "nonfinite": np.int32,
    "zero_gradient": np.int32,
}


def small(rows: Array) -> Array:
    """Sample numbers, which are in order, in the smaller type where they fit."""
    fits = not len(rows) or int(rows[-1]) <= np.iinfo(np.int32).max
    return rows.astype(np.int32 if fits else np.int64, copy=False)


def code(status: Status) -> int:
    """Return the number of a status in evidence.npz."""
    return CODES.index(status)


@dataclass
class Round:
    """One attack on some samples: what each answered, and what it cost.

    name: distinct within the audit. arm: the text of the attack. rows: (m,) sample numbers in
    order, int32 where they fit. status, margin, forward, backward, nonfinite, zero_gradient: (m,).
    """

    name: str
    arm: str
    stage: Stage
    rows: Array
    status: Array
    margin: Array
    forward: Array
    backward: Array
    nonfinite: Array
    zero_gradient: Array
    seconds: float = 0.0
    error: str = ""
    rows_forward: int = 0
    rows_backward: int = 0

    @classmethod
    def empty(cls, name: str, arm: str, stage: Stage, rows: Array) -> "Round":
        """Nothing observed yet on these rows."""
        columns: dict[str, Any] = {k: np.zeros(len(rows), dtype=t) for k, t in COLUMNS.items()}
        columns["margin"][:] = np.nan
        return cls(name, arm, stage, small(rows), **columns)

    def take(self, record: dict[str, Array]) -> None:
        """Enter a finished chunk; its rows are consecutive among this round's."""
        first = int(np.searchsorted(self.rows, record["rows"][0]))
        place = slice(first, first + len(record["rows"]))
        for name in COLUMNS:
            # Memory that was never written to costs nothing, and most counters stay at zero.
            if record[name].any():
                getattr(self, name)[place] = record[name]
        self.seconds += float(record["seconds"])
        self.rows_forward += int(record["rows_forward"])
        self.rows_backward += int(record["rows_backward"])
        self.error = self.error or record["error"].item()

    def where(self, status: Status) -> Array:
        """Sample numbers with this status in this round."""
        found: Array = self.rows[self.status == code(status)]
        return found

    @property
    def passes(self) -> int:
        """Forward and backward passes that the adversary paid for, over all rows."""
        return int(self.forward.sum(dtype=np.int64) + self.backward.sum(dtype=np.int64))


@dataclass
class Evidence:
    """Every round in order; the first is the clean input.

    label: (n,). prediction: (n,) of the clean input. rejected: what the independent checker said
    against a witness, by (round, sample). hits: by sample, how many of ``votes`` draws after the
    verdict its witness broke again; empty where one answer decides. notes: measurements made before
    the search. probes: measurements made after it, for the health checks and the figures.
    target: (n,) the class to reach, None where any other will do.
    proofs: what bounds have shown, None where they were not asked for. perceived: how far a network
    sees the witnesses from their inputs, None where none was given. usage: what a model that is
    paid for by the question was asked, None for others. borrowed: how surrogates and earlier runs
    did, None without any.
    """

    plan: Plan
    classes: int
    label: Array
    rounds: list[Round] = field(default_factory=list)
    rejected: dict[tuple[int, int], str] = field(default_factory=dict)
    hits: dict[int, int] = field(default_factory=dict)
    notes: dict[str, float] = field(default_factory=dict)
    probes: dict[str, Any] = field(default_factory=dict)
    proofs: Proofs | None = None
    perceived: "Perceived | None" = None
    usage: dict[str, Any] | None = None
    borrowed: dict[str, Any] | None = None
    model_changed: bool = False
    prediction: Array = field(default_factory=lambda: np.zeros(0, dtype=np.int32))
    target: Array | None = None

    @classmethod
    def empty(cls, plan: Plan, classes: int) -> "Evidence":
        """Nothing observed yet."""
        said = np.zeros(plan.n, dtype=np.int32)
        found = cls(plan, classes, np.zeros(plan.n, dtype=np.int64), prediction=said)
        if plan.target is not None:
            found.target = np.zeros(plan.n, dtype=np.int64)
        return found

    @property
    def n(self) -> int:
        """Number of samples."""
        return self.plan.n

    @property
    def attacks(self) -> list[Round]:
        """Every round but the clean one."""
        return self.rounds[1:]

    def marked(self, status: Status, rounds: list[Round] | None = None) -> Array:
        """(n,) bool: samples that some round gave this status."""
        found = np.zeros(self.n, dtype=np.bool_)
        for r in self.rounds if rounds is None else rounds:
            found[r.where(status)] = True
        return found

    def broken_by(self) -> Array:
        """(n,) the number of the round that first broke each sample, -1 where none did."""
        first = np.full(self.n, -1, dtype=np.int32)
        for number in range(len(self.rounds) - 1, -1, -1):
            first[self.rounds[number].where(Status.BROKEN)] = number
        return first

    def open_rows(self) -> Array:
        """Samples that nothing has broken so far and that can be attacked, in order."""
        return small(np.flatnonzero(~self.marked(Status.BROKEN) & ~self.exempt))

    @property
    def exempt(self) -> Array:
        """(n,) bool: samples whose label is the target, which nobody can move there."""
        if self.target is None:
            return np.zeros(self.n, dtype=np.bool_)
        exempt: Array = self.target == self.label
        return exempt

    @property
    def asked_out(self) -> Array:
        """(n,) bool: samples about which no question is left."""
        if self.plan.max_queries is None:
            return np.zeros(self.n, dtype=np.bool_)
        out: Array = self.total("forward") + self.plan.eot > self.plan.max_queries
        return out

    def targets(self, rows: Tensor) -> Tensor | None:
        """(B,) the class that each of these samples is to be moved to, None where any will do."""
        return None if self.target is None else torch.from_numpy(self.target[rows.cpu().numpy()])

    def fresh(self) -> Array:
        """Samples that need an attack to break: right as they are, or not yet at their target."""
        rows = self.rounds[0].where(Status.SURVIVED)
        return rows[~self.exempt[rows]]

    def margin(self) -> Array:
        """(n,) the worst margin that any round reached, NaN where none ran."""
        worst = np.full(self.n, np.nan, dtype=np.float32)
        for r in self.rounds:
            worst[r.rows] = np.fmax(worst[r.rows], r.margin)
        return worst

    def total(self, column: str) -> Array:
        """(n,) a counter summed over all rounds."""
        found = np.zeros(self.n, dtype=np.int64)
        for r in self.rounds:
            found[r.rows] += getattr(r, column)
        return found

    def spent(self, rows: Array) -> Array:
        """(B,) forward passes paid so far for these samples."""
        found = np.zeros(len(rows), dtype=np.int64)
        for r in self.rounds:
            place = np.searchsorted(r.rows, rows).clip(max=max(len(r.rows) - 1, 0))
            if len(r.rows):
                found += np.where(r.rows[place] == rows, r.forward[place], 0)
        return found

    def verdict(self) -> Array:
        """(n,) codes: broken by any attack, else error in any, else survived, else not run."""
        found = np.zeros(self.n, dtype=np.int8)
        for status in (Status.SURVIVED, Status.ERROR, Status.BROKEN):
            # The clean input survives almost everywhere; alone it says nothing about an attack.
            counted = self.attacks if status is Status.SURVIVED else self.rounds
            found[self.marked(status, counted)] = code(status)
        found[self.exempt] = code(Status.SURVIVED)
        return found

    def count(self, status: Status) -> int:
        """How many samples have this verdict."""
        return int((self.verdict() == code(status)).sum())

    @property
    def clean_accuracy(self) -> float:
        """Share of samples that are classified correctly before any attack."""
        if self.target is not None:
            return float((self.prediction == self.label).mean())
        return len(self.rounds[0].where(Status.SURVIVED)) / self.n

    def passes(self) -> float:
        """Forward and backward passes paid for so far, per sample."""
        return sum(r.passes for r in self.rounds) / self.n
