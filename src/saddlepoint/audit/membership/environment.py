"""Changes in environment, made again in numpy: other views, light and focus."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from saddlepoint.audit.membership.blur import blurred
from saddlepoint.audit.membership.colour import recoloured
from saddlepoint.audit.membership.kind import Array, widen
from saddlepoint.audit.membership.warp import seen_from, warped

__all__ = ["REMADE", "by_remaking"]

_SAME = 1e-5  # x_adv was stored in float32
_SLACK = 1e-6

# Name: how an image (C, H, W) in [0, 1] looks under its parameters.
REMADE: dict[str, Callable[[Array, Array, Any], Array]] = {
    "Affine": warped,
    "Perspective": seen_from,
    "Colour": recoloured,
    "Blur": blurred,
}
_BOUNDS: dict[str, Sequence[str]] = {
    "Affine": ("degrees", "shift", "shift", "scale", "scale", "shear"),
    "Perspective": ("distortion",) * 8,
    "Colour": ("brightness", "contrast", "saturation", "hue"),
    "Blur": ("pixels",),
}


def by_remaking(
    x: Array,
    u: Array | None,
    x_adv: Array,
    threat: Any,  # noqa: ANN401
    rows: Array,
) -> list[str]:
    """Say for each row what is wrong: a parameter leaves its range, or x_adv is not what u makes.

    Images are made again by numpy in float64, with none of the set's code and without kornia.
    """
    if u is None:
        return ["its parameters u are missing"] * len(x)
    name = type(threat).__name__
    severity = np.asarray(threat.severity, dtype=np.float64)
    most = severity[rows] if severity.ndim else np.full(len(x), severity)
    said = []
    for a, b, way, reach in zip(x, widen(x_adv), u.astype(np.float64), most, strict=True):
        said.append(_range(way, name, threat, reach) or _image(a, b, way, name, threat))
    return said


def _range(u: Array, name: str, threat: Any, reach: float) -> str:  # noqa: ANN401
    """Say which parameter leaves its range."""
    low = np.array([-reach for bound in _BOUNDS[name] if getattr(threat, bound) > 0])
    high = -low
    if name == "Blur":
        low, high = np.array([0.0]), np.array([reach])
        if threat.kind == "motion":
            low, high = np.append(low, -1.0), np.append(high, 1.0)
    if u.shape != low.shape:
        return f"{u.size} parameters instead of {low.size}"
    inside = (u >= low - _SLACK * 5) & (u <= high + _SLACK * 5)  # False for NaN
    if inside.all():
        return ""
    at = int(np.argmin(inside))
    return f"parameter {at} is {u[at]:g}, outside [{low[at]:g}, {high[at]:g}]"


def _image(a: Array, b: Array, u: Array, name: str, threat: Any) -> str:  # noqa: ANN401
    low, high = threat.box
    unit = (a.astype(np.float64) - low) / (high - low)
    made = np.clip(REMADE[name](unit, u, threat), 0, 1)
    gap = float(np.abs(made * (high - low) + low - b).max())
    # Not "gap > …": NaN is no member.
    good = gap <= _SAME * max(1.0, high - low)
    return "" if good else f"its parameters make another image, {gap:g} away"
