"""Rotated and shifted images: made again from x, one output row at a time, by hat functions."""

from typing import Any

import numpy as np

from saddlepoint.audit.membership.kind import Array, widen

__all__ = ["by_turning", "turned"]

_SAME = 1e-5  # of the input range: x_adv was made in float32


def by_turning(
    x: Array,
    u: Array | None,
    x_adv: Array,
    threat: Any,  # noqa: ANN401
    rows: Array,
) -> list[str]:
    """Say for each row what is wrong: u is out of its range, or x_adv is not what it makes of x."""
    if u is None or u.shape != (len(x), 3):
        return ["its angle and shifts are missing"] * len(x)
    share = np.asarray(threat.eps, dtype=np.float64)
    eps = share[rows] if share.ndim else np.full(len(x), share)
    return [
        _range(u[i], float(eps[i]), threat) or _same(x[i], u[i], widen(x_adv[i]), threat)
        for i in range(len(x))
    ]


def _range(u: Array, eps: float, threat: Any) -> str:  # noqa: ANN401
    way = np.abs(u.astype(np.float64))
    most = np.array([eps, *[eps if threat.pixels > 0 else 0.0] * 2]) * (1 + 1e-6) + 1e-6
    if np.isfinite(way).all() and (way <= most).all():
        return ""
    angle, across, down = u * np.array([threat.degrees, threat.pixels, threat.pixels])
    return (
        f"turned by {angle:g} degrees and shifted by ({across:g}, {down:g}) pixels, of "
        f"{eps * threat.degrees:g} and {eps * threat.pixels:g}"
    )


def _same(x: Array, u: Array, x_adv: Array, threat: Any) -> str:  # noqa: ANN401
    parts = np.array([threat.degrees, threat.pixels, threat.pixels]) * u.astype(np.float64)
    angle, across, down = parts.tolist()
    made = turned(x.astype(np.float64), angle, across, down, threat.padding == "reflect")
    if not np.isfinite(x_adv).all():
        return "values that are not finite"
    gap, width = float(np.abs(made - x_adv).max()), threat.box[1] - threat.box[0]
    slack = _SAME * max(1.0, width if np.isfinite(width) else float(np.abs(x).max()))
    return "" if gap <= slack else f"{gap:g} away from the turned and shifted image"


def turned(x: Array, degrees: float, across: float, down: float, mirrored: bool) -> Array:
    """x (C, H, W) turned about its centre, from the column axis towards the row axis, then shifted.

    Each output pixel is <hat in rows, x, hat in columns> at the place that it comes from; the hat
    of pixel q at s is max(0, 1 - |s - q|).

    >>> turned(np.array([[[1.0, 3.0]]]), 180, 0, 0, False).round(6).tolist()
    [[[3.0, 1.0]]]
    """
    _, height, width = x.shape
    angle = np.deg2rad(degrees)
    back = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    middle = np.array([width - 1, height - 1]) / 2
    out = np.empty_like(x)
    columns = np.arange(width)
    for i in range(height):
        seen = np.stack([columns, np.full(width, i)]) - middle[:, None]
        came = back @ (seen - np.array([[across], [down]])) + middle[:, None]
        by_column, by_row = _hats(came[0], width, mirrored), _hats(came[1], height, mirrored)
        out[:, i] = np.einsum("jr,crk,jk->cj", by_row, x, by_column, optimize=True)
    return out


def _hats(at: Array, length: int, mirrored: bool) -> Array:
    """(J, length) weights of the pixels of one axis for points at (J,)."""
    if mirrored:
        period = max(2 * (length - 1), 1)
        # A triangle wave: 0 at 0, length - 1 half a period further.
        at = (length - 1) - np.abs(np.mod(at, period) - (length - 1))
        at = at if length > 1 else np.zeros_like(at)
    return np.maximum(0.0, 1.0 - np.abs(at[:, None] - np.arange(length)[None, :]))
