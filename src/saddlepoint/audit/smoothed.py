"""Certified accuracy of a smoothed classifier at every radius."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from saddlepoint.audit.curve import Point
from saddlepoint.audit.stats import clopper_pearson
from saddlepoint.core.errors import Invalid
from saddlepoint.verify import ABSTAIN, Smoothing

__all__ = ["Smoothed"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Smoothed:
    """Per sample what the smoothed classifier says and how far it provably says the same.

    table: columns of equal length, one row per sample: index, label, prediction (-1: abstained),
    radius, selected, hits, p_low, spoilt (see ``Certified``). smoothing: what made it. document:
    smooth.json.

    >>> columns = {"label": np.array([0, 1, 1, 1]), "prediction": np.array([0, 1, 0, -1])}
    >>> columns["radius"] = np.array([0.3, 0.7, 0.9, 0.0])
    >>> found = Smoothed(columns, Smoothing(sigma=0.5))
    >>> found.at(0).accuracy, found.at(0.5).accuracy, found.abstained
    (0.5, 0.25, 0.25)
    """

    table: dict[str, Array]
    smoothing: Smoothing
    confidence: float = 0.95
    document: dict[str, Any] = field(default_factory=dict)
    folder: Path | None = None

    def at(self, eps: float) -> Point:
        """Share of all samples that are right and certified within L2 distance eps.

        low, high: Clopper-Pearson interval for the population's share of samples that this
        procedure certifies so.
        """
        if not eps >= 0:
            raise Invalid("eps", eps, "a radius of at least 0")
        right = self.table["prediction"] == self.table["label"]
        hits, n = int((right & (self.table["radius"] > eps)).sum()), len(right)
        return Point(float(eps), hits / n, *clopper_pearson(hits, n, self.confidence))

    def at_least(self, eps: float) -> float:
        """Lower bound of the population's robust accuracy of the smoothed classifier itself.

        ``at(eps).low`` less alpha: a sample may be certified by bad luck of the noise, with
        probability alpha at most. It holds with (1 + confidence) / 2.
        """
        return max(0.0, self.at(eps).low - self.smoothing.alpha)

    @property
    def abstained(self) -> float:
        """Share of samples without an answer."""
        return float((self.table["prediction"] == ABSTAIN).mean())

    def __repr__(self) -> str:
        return (
            f"Smoothed({self.smoothing!r}, accuracy={self.at(0).accuracy:.4f}, "
            f"certified={self.at(self.smoothing.sigma).accuracy:.4f} at "
            f"{self.smoothing.sigma:g}, abstained={self.abstained:.4f}, "
            f"n={len(self.table['label'])})"
        )
