"""What is proved of each sample of an audit, by which method, and at what cost."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from saddlepoint.verify.ladder import Rung

__all__ = ["FATES", "Proofs"]

Array = np.ndarray[Any, Any]
# What becomes of a sample: the order is part of the file format of evidence.npz.
FATES = ("undecided", "wrong", "broken", "certified")


@dataclass
class Proofs:
    """One entry per sample.

    certified: (n,) bool. rung: (n,) int8, the dearest method that was tried, which is the one that
    certified the sample where it is. bound: (n,) float32, an upper bound on the margin, NaN where
    none was computed. spent: (n,) subproblems. found: inputs that branch and bound takes for
    breaks. refuted: those of them that the model did not confirm. certificates: of certified
    samples, packed. refused: why the checker accepted none, by sample. sandwiched: broken samples
    whose bounds were compared with the attacks', by method. seconds: CPU time by method. reason:
    why nothing could be verified, "" where it could. unfinished: whether the time was over before
    the last sample.
    """

    certified: Array
    rung: Array
    bound: Array
    spent: Array
    seconds: dict[str, float] = field(default_factory=dict)
    found: dict[int, Array] = field(default_factory=dict)
    refuted: set[int] = field(default_factory=set)
    certificates: dict[int, bytes] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)
    sandwiched: dict[str, int] = field(default_factory=dict)
    reason: str = ""
    unfinished: bool = False

    @classmethod
    def empty(cls, n: int, reason: str = "") -> "Proofs":
        """Nothing is proved yet."""
        bound = np.full(n, np.nan, dtype=np.float32)
        spent = np.zeros(n, dtype=np.int64)
        return cls(np.zeros(n, np.bool_), np.zeros(n, np.int8), bound, spent, reason=reason)

    def take(self, record: dict[str, Array]) -> None:
        """Enter what one search, or one batch of bounds, has shown."""
        rows = record["rows"]
        self.certified[rows] |= record["certified"]
        self.rung[rows] = np.maximum(self.rung[rows], record["rung"])
        self.bound[rows] = np.fmin(self.bound[rows], record["bound"])
        self.spent[rows] += record["spent"]
        for row, x in zip(record["found_rows"].tolist(), record["found"], strict=True):
            self.found[row] = x
        for row, said in zip(rows.tolist(), record["refused"].tolist(), strict=True):
            if said:
                self.refused[row] = said
        ends = record["length"].cumsum()
        content = record["certificate"].tobytes()
        for i in np.flatnonzero(record["length"]).tolist():
            self.certificates[int(rows[i])] = content[ends[i] - record["length"][i] : ends[i]]
        self.clock(record["method"].item(), float(record["seconds"]))

    def clock(self, method: str, seconds: float) -> None:
        """Add CPU time to a method's account."""
        self.seconds[method] = self.seconds.get(method, 0.0) + seconds

    @property
    def spent_seconds(self) -> float:
        """CPU time of all methods."""
        return sum(self.seconds.values())

    def by_rung(self) -> dict[str, int]:
        """How many samples each method certified, the cheapest first."""
        mine = self.rung[self.certified]
        return {r.name: int((mine == r).sum()) for r in Rung if r is not Rung.NONE}
