"""An independent checker of witnesses: numpy, float64, and nothing of the search's own code.

It knows norms by name on purpose. The threat models compute with torch; a mistake there must not be
able to vouch for itself here.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from saddlepoint.core.errors import Invalid

__all__ = ["distance", "inspect"]

Array = np.ndarray[Any, Any]

# Values closer than this are the same value: a count has to be exact, but x may have been read in
# two ways, as n / 255 in float32 and in float64, which differ by half as much.
_SAME = 2.0**-24

_NORMS: dict[str, tuple[float, Callable[[Array], Array]]] = {
    "Linf": (np.inf, lambda d: np.abs(d).max(axis=1)),
    "L2": (2.0, lambda d: np.sqrt((d * d).sum(axis=1))),
    "L1": (1.0, lambda d: np.abs(d).sum(axis=1)),
    "L0": (0.0, lambda d: (np.abs(d) > _SAME).sum(axis=1).astype(np.float64)),
}


def inspect(x: Array, x_adv: Array, threat: Any, rows: Array) -> list[str]:  # noqa: ANN401
    """Say for each witness what is wrong with it, or "" where it is a member of the set.

    x, x_adv: (B, *F) original and perturbed inputs. rows: (B,) their numbers, for sets with a
    radius per sample. The slack allows for float32: half a unit in the last place of each input
    value, and one part in a million of the radius.

    >>> from saddlepoint import Linf
    >>> inspect(np.zeros((1, 2)), np.array([[0.1, 0.3]]), Linf(eps=0.2), np.array([0]))
    ['Linf distance 0.3 exceeds 0.2']
    """
    inner, grid = getattr(threat, "threat", threat), hasattr(threat, "to_type")
    name = type(inner).__name__
    if x.shape != x_adv.shape:
        return [f"shape {x_adv.shape[1:]} instead of {x.shape[1:]}"] * len(x)
    if not np.issubdtype(x_adv.dtype, np.floating) and x_adv.dtype != np.uint8:
        return [f"dtype {x_adv.dtype} instead of floats or uint8"] * len(x)
    if name not in _NORMS:
        return [f"no independent checker knows {name}"] * len(x)
    a = x.reshape(len(x), -1).astype(np.float64)
    b = _widen(x_adv).reshape(len(x), -1)
    radius = np.asarray(inner.eps, dtype=np.float64)
    eps = radius[rows] if radius.ndim else np.full(len(x), radius)
    order, measure = _NORMS[name]
    return [
        _fault(b[i], float(measure(b[i : i + 1] - a[i : i + 1])[0]), float(eps[i]), name, order)
        or _outside(b[i], inner.box)
        or (_off_grid(b[i]) if grid else "")
        for i in range(len(a))
    ]


def distance(x: Array, x_adv: Array, threat: Any) -> Array:  # noqa: ANN401
    """(B,) float64 how far each perturbed input is from its original, in the set's own measure.

    Raises ``Invalid`` for a set whose measure is not known here.

    >>> from saddlepoint import L2
    >>> distance(np.zeros((1, 2)), np.array([[0.3, 0.4]]), L2(eps=1)).tolist()
    [0.5]
    """
    name = type(getattr(threat, "threat", threat)).__name__
    if name not in _NORMS:
        raise Invalid("threat", repr(threat), "one of " + ", ".join(_NORMS))
    a = x.reshape(len(x), -1).astype(np.float64)
    return _NORMS[name][1](_widen(x_adv).reshape(len(x), -1) - a)


def _widen(x: Array) -> Array:
    return x / 255.0 if x.dtype == np.uint8 else x.astype(np.float64)


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
