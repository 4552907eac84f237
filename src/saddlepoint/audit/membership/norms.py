"""Balls and counts, with or without the 8-bit grid: distances by the definition of the norm."""

from collections.abc import Callable
from typing import Any

import numpy as np

from saddlepoint.audit.membership.kind import Array, widen

__all__ = ["NORMS", "by_norm", "moves"]

# Values closer than this are the same value: a count has to be exact, but x may have been read in
# two ways, as n / 255 in float32 and in float64, which differ by half as much.
_SAME = 2.0**-24

NORMS: dict[str, tuple[float, Callable[[Array], Array]]] = {
    "Linf": (np.inf, lambda d: np.abs(d).max(axis=1)),
    "L2": (2.0, lambda d: np.sqrt((d * d).sum(axis=1))),
    "L1": (1.0, lambda d: np.abs(d).sum(axis=1)),
    "L0": (0.0, lambda d: (np.abs(d) > _SAME).sum(axis=1).astype(np.float64)),
}


def moves(x: Array, x_adv: Array, threat: Any) -> Array:  # noqa: ANN401
    """(B, D) float64 x_adv - x; of a set that counts pixels the largest change within each.

    A pixel is a point of the last two axes.
    """
    d = widen(x_adv) - x.astype(np.float64)
    if getattr(threat, "per", "value") == "pixel" and d.ndim > 3:
        d = np.abs(d).max(axis=tuple(range(1, d.ndim - 2)))
    return d.reshape(len(d), -1)


def by_norm(
    x: Array,
    u: Array | None,
    x_adv: Array,
    threat: Any,  # noqa: ANN401
    rows: Array,
) -> list[str]:
    """Say for each row what is wrong, or "" where its distance is small enough.

    The slack allows for float32: half a unit in the last place of each input value, and one part
    in a million of the radius.
    """
    inner, grid = getattr(threat, "threat", threat), hasattr(threat, "to_type")
    name = type(inner).__name__
    d, b = moves(x, x_adv, inner), widen(x_adv).reshape(len(x), -1)
    radius = np.asarray(inner.eps, dtype=np.float64)
    eps = radius[rows] if radius.ndim else np.full(len(x), radius)
    order, measure = NORMS[name]
    return [
        _fault(b[i], float(measure(d[i : i + 1])[0]), float(eps[i]), name, order)
        or _outside(b[i], inner.box)
        or (_off_grid(b[i]) if grid else "")
        for i in range(len(b))
    ]


def _fault(b: Array, distance: float, eps: float, name: str, order: float) -> str:
    if not np.isfinite(b).all():
        return "values that are not finite"
    half_ulp = 2.0**-24 * max(1.0, float(np.abs(b).max()))
    # A count has no rounding: one value too many is one too many.
    slack = eps * 1e-6 + half_ulp * 2 * (b.size ** (1 / order)) if order else 0.0
    return f"{name} distance {distance:g} exceeds {eps:g}" if distance > eps + slack else ""


def _outside(b: Array, box: tuple[float, float]) -> str:
    slack = 1e-6 * max(1.0, box[1] - box[0]) if np.isfinite(box[1] - box[0]) else 1e-6
    low, high = float(b.min()), float(b.max())
    inside = low >= box[0] - slack and high <= box[1] + slack
    return "" if inside else f"values from {low:g} to {high:g} leave [{box[0]:g}, {box[1]:g}]"


def _off_grid(b: Array) -> str:
    steps = b * 255
    return "" if np.abs(steps - np.round(steps)).max() <= 1e-4 else "values between 8-bit levels"
