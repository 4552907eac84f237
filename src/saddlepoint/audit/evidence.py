"""What an audit knows: one row per attack and sample, and nothing that it did not observe."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from saddlepoint.audit.plan import Plan
from saddlepoint.core.ledger import Status

__all__ = ["CODES", "Evidence"]

Array = np.ndarray[Any, Any]

# The order is part of the file format of evidence.npz.
CODES = (Status.NOT_RUN, Status.SURVIVED, Status.BROKEN, Status.ERROR)


@dataclass
class Evidence:
    """Status, margin and cost of every attack on every sample; row 0 is the clean input.

    status, margin, forward, backward, nonfinite, zero_gradient: (A + 1, n). scores: (n, K) of the
    clean inputs. label: (n,). seconds, errors: one per row of the table. rejected: what the
    independent checker said against a witness, by (attack, sample). notes: measurements made
    before the search.
    """

    plan: Plan
    classes: int
    names: tuple[str, ...]
    status: Array
    margin: Array
    forward: Array
    backward: Array
    nonfinite: Array
    zero_gradient: Array
    label: Array
    scores: Array
    seconds: list[float]
    errors: list[str]
    rejected: dict[tuple[int, int], str] = field(default_factory=dict)
    notes: dict[str, float] = field(default_factory=dict)
    rows_forward: int = 0
    rows_backward: int = 0
    model_changed: bool = False

    @classmethod
    def empty(cls, plan: Plan, classes: int) -> "Evidence":
        """Nothing observed yet."""
        names = ("clean", *plan.names())
        shape = (len(names), plan.n)

        def count() -> Array:
            return np.zeros(shape, dtype=np.int32)

        return cls(
            plan=plan,
            classes=classes,
            names=names,
            status=np.zeros(shape, dtype=np.int8),
            margin=np.full(shape, np.nan, dtype=np.float32),
            forward=count(),
            backward=count(),
            nonfinite=count(),
            zero_gradient=count(),
            label=np.zeros(plan.n, dtype=np.int64),
            scores=np.zeros((plan.n, classes), dtype=np.float32),
            seconds=[0.0] * len(names),
            errors=[""] * len(names),
        )

    def take(self, round_: int, record: dict[str, Array]) -> None:
        """Enter a finished chunk of one attack."""
        rows = record["rows"]
        for name in ("status", "margin", "forward", "backward", "nonfinite", "zero_gradient"):
            getattr(self, name)[round_, rows] = record[name]
        self.seconds[round_] += float(record["seconds"])
        self.rows_forward += int(record["rows_forward"])
        self.rows_backward += int(record["rows_backward"])
        self.errors[round_] = self.errors[round_] or str(record["error"])
        for row, fault in zip(record["witness_rows"], record["faults"], strict=True):
            if fault:
                self.rejected[round_, int(row)] = str(fault)
        if round_ == 0:
            self.label[rows], self.scores[rows] = record["label"], record["scores"]

    def open_rows(self, round_: int) -> Array:
        """Samples that no earlier round has broken, in order."""
        broken = CODES.index(Status.BROKEN)
        return np.flatnonzero(~(self.status[:round_] == broken).any(axis=0))

    def verdict(self) -> Array:
        """(n,) codes: broken by any attack, else error in any, else survived, else not run."""
        found = np.zeros(self.plan.n, dtype=np.int8)
        for status in (Status.SURVIVED, Status.ERROR, Status.BROKEN):
            found[(self.status == CODES.index(status)).any(axis=0)] = CODES.index(status)
        # The clean input survives almost everywhere; alone it says nothing about an attack.
        unattacked = (self.status[1:] == 0).all(axis=0) & (found != CODES.index(Status.BROKEN))
        found[unattacked] = CODES.index(Status.NOT_RUN)
        return found

    def count(self, status: Status) -> int:
        """How many samples have this verdict."""
        return int((self.verdict() == CODES.index(status)).sum())

    @property
    def clean_accuracy(self) -> float:
        """Share of samples that are classified correctly before any attack."""
        return float((self.status[0] == CODES.index(Status.SURVIVED)).mean())
