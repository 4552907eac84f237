"""Robust accuracy against the size of the change, from each sample's distance to a break."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from saddlepoint.audit.stats import clopper_pearson, dkw
from saddlepoint.core.errors import Invalid

__all__ = ["Curve", "Point"]

Array = np.ndarray[Any, Any]

# What an independent check of membership allows: rounding may not decide a step of the curve.
SLACK = 1e-6


class Point(NamedTuple):
    """Accuracy at one radius with its pointwise interval."""

    eps: float
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Curve:
    """Robust accuracy at every radius up to ``reach``, from the distance of each sample's break.

    eps: (E,) radii. accuracy: (E,) share of *all* samples without a break within eps: an upper
    bound. low, high: (E,) Clopper-Pearson intervals, each for itself. band_low, band_high: (E,) a
    band that holds the whole curve at once (Dvoretzky, Kiefer, Wolfowitz). Both are for the
    population's share of samples that this attack cannot break; samples whose attack failed count
    as broken for the low ends and as robust for the high ones. distance: (n,) to the closest break,
    0 where the clean input is one, infinite where none was found within reach.

    >>> found = np.array([0.0, 0.1, 0.3, np.inf])
    >>> curve = Curve.of(found, np.zeros(4, dtype=bool), reach=0.4)
    >>> curve.at(0.2).accuracy, curve.median
    (0.5, 0.3)
    """

    eps: Array
    accuracy: Array
    low: Array
    high: Array
    band_low: Array
    band_high: Array
    distance: Array
    failed: Array
    reach: float
    confidence: float
    document: dict[str, Any]
    folder: Path | None

    @classmethod
    def of(
        cls,
        distance: Array,
        failed: Array,
        reach: float,
        confidence: float = 0.95,
        points: int = 101,
        document: dict[str, Any] | None = None,
        folder: Path | None = None,
    ) -> "Curve":
        """Draw the curve of n distances; failed: (n,) bool, samples whose attack raised."""
        eps = np.linspace(0, reach, points)
        rows = np.array([_at(distance, failed, e, confidence) for e in eps])
        miss = dkw(len(distance), confidence)
        worst = np.array([_share(distance, e, failed) for e in eps])
        return cls(
            eps=eps,
            accuracy=rows[:, 1],
            low=rows[:, 2],
            high=rows[:, 3],
            band_low=(worst - miss).clip(0),
            band_high=(rows[:, 1] + miss).clip(max=1),
            distance=distance,
            failed=failed,
            reach=reach,
            confidence=confidence,
            document=document or {},
            folder=folder,
        )

    def at(self, eps: float) -> Point:
        """Accuracy at any radius within reach; raises ``Invalid`` beyond."""
        if not 0 <= eps <= self.reach * (1 + SLACK):
            allowed = f"a radius in [0, {self.reach:g}], where this run has looked"
            raise Invalid("eps", eps, allowed, "run it with a larger eps in the threat model")
        return _at(self.distance, self.failed, eps, self.confidence)

    @property
    def median(self) -> float:
        """Distance within which half of all samples are broken; infinite where that is beyond."""
        return float(np.sort(self.distance)[len(self.distance) // 2])

    def __repr__(self) -> str:
        return (
            f"Curve(clean={self.at(0).accuracy:.4f}, median_distance<={self.median:.4g}, "
            f"robust<={self.at(self.reach).accuracy:.4f} at {self.reach:g}, "
            f"n={len(self.distance)})"
        )


def _share(distance: Array, eps: float, failed: Array | bool = False) -> float:
    return float(((distance > eps * (1 + SLACK)) & ~np.asarray(failed)).mean())


def _at(distance: Array, failed: Array, eps: float, confidence: float) -> Point:
    n = len(distance)
    share, sure = _share(distance, eps), _share(distance, eps, failed)
    low = clopper_pearson(round(sure * n), n, confidence)[0]
    return Point(float(eps), share, low, clopper_pearson(round(share * n), n, confidence)[1])
