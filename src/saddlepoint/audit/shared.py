"""What a universal perturbation does to samples that it was not fitted on."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from saddlepoint.audit.stats import clopper_pearson

__all__ = ["Rate", "Shared"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Rate:
    """A share of samples with its interval (Clopper-Pearson); no samples have no share."""

    count: int
    of: int
    low: float
    high: float

    @classmethod
    def over(cls, hit: Array, confidence: float) -> "Rate":
        """Count the hits among rows of bool.

        >>> Rate.over(np.array([True, False]), 0.95).share
        0.5
        """
        count, n = int(hit.sum()), len(hit)
        low, high = clopper_pearson(count, n, confidence) if n else (0.0, 1.0)
        return cls(count, n, low, high)

    @property
    def share(self) -> float:
        """The share itself; NaN of nothing."""
        return self.count / self.of if self.of else float("nan")

    def as_json(self) -> dict[str, Any]:
        """Return all numbers; the share is null of nothing."""
        share = self.share if self.of else None
        return {
            "count": self.count,
            "of": self.of,
            "share": share,
            "interval": [self.low, self.high],
        }


@dataclass(frozen=True, eq=False)
class Shared:
    """One u (*P) and the answers to every measured sample without it, with it, and with another.

    table: per sample ``index``, ``label``, ``clean`` (the answer to it), ``prediction`` (with u),
    ``control`` (with a random member in place of u); -1 is an answer that was not finite, which
    counts as neither right nor fooled.

    >>> import torch
    >>> answers = {"label": [0, 1], "clean": [0, 1], "prediction": [1, 1], "control": [0, 1]}
    >>> found = Shared(torch.zeros(4), {name: np.array(rows) for name, rows in answers.items()})
    >>> found.fooling.share, found.control.share, found.accuracy.share
    (0.5, 0.0, 0.5)
    """

    u: Tensor
    table: dict[str, Array]
    target: int | None = None
    confidence: float = 0.95
    document: dict[str, Any] = field(default_factory=dict)
    folder: Path | None = None

    def _rate(self, hit: Array) -> Rate:
        return Rate.over(hit, self.confidence)

    @property
    def fooling(self) -> Rate:
        """Samples whose answer changes (1610.08401, eq. 1); an upper bound has no meaning here."""
        return self._rate(self._changed("prediction"))

    @property
    def control(self) -> Rate:
        """The same for one random member of the set: what no search at all achieves."""
        return self._rate(self._changed("control"))

    @property
    def accuracy(self) -> Rate:
        """Samples that the model gets right with u on them."""
        return self._rate(self.table["prediction"] == self.table["label"])

    @property
    def clean_accuracy(self) -> Rate:
        """Samples that the model gets right as they are."""
        return self._rate(self.table["clean"] == self.table["label"])

    @property
    def reached(self) -> Rate:
        """Samples of other classes that are taken for the target."""
        others = self.table["label"] != (-1 if self.target is None else self.target)
        return self._rate(self.table["prediction"][others] == self.target)

    def _changed(self, column: str) -> Array:
        t = self.table
        changed: Array = (t[column] != t["clean"]) & (t[column] >= 0) & (t["clean"] >= 0)
        return changed

    def __repr__(self) -> str:
        said = f"fooling={self.fooling.share:.4f}, accuracy={self.accuracy.share:.4f}"
        aimed = "" if self.target is None else f", reached={self.reached.share:.4f}"
        return f"Shared({said}{aimed}, n={len(self.table['label'])})"
