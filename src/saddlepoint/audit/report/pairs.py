"""Two runs on the same samples, put side by side row by row."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saddlepoint.audit.report.run import Run

__all__ = ["Pairs"]

Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Pairs:
    """The k samples of two runs: data-set index, label, and what became of each in either run.

    broken: (2, k), some attack or no change at all broke it. undecided: (2, k), nothing did, but
    an attack failed on it or none was run; such a sample is neither broken nor robust.
    """

    index: NDArray[Any]
    label: NDArray[Any]
    broken: Bools
    undecided: Bools

    @classmethod
    def of(cls, first: Run, second: Run) -> "Pairs | None":
        """Match the rows of two runs; None when they were made on other data."""
        data = first.audit.get("data_sha256")
        if data is None or data != second.audit.get("data_sha256"):
            return None
        index, i, j = np.intersect1d(
            first.evidence["index"], second.evidence["index"], return_indices=True
        )
        return cls(
            index,
            first.evidence["label"][i],
            np.stack([first.broken[i], second.broken[j]]),
            np.stack([first.undecided[i], second.undecided[j]]),
        )

    @property
    def decided(self) -> Bools:
        """(k,) whether the sample is either broken or robust in both runs."""
        decided: Bools = ~(self.undecided[0] | self.undecided[1])
        return decided

    @property
    def only_first(self) -> Bools:
        """(k,) broken in the first run and robust in the second."""
        only: Bools = self.decided & self.broken[0] & ~self.broken[1]
        return only

    @property
    def only_second(self) -> Bools:
        """(k,) broken in the second run and robust in the first."""
        only: Bools = self.decided & self.broken[1] & ~self.broken[0]
        return only
