"""Images out of focus or in motion."""

import math
from typing import Any

import numpy as np

from saddlepoint.audit.membership.kind import Array

__all__ = ["blurred"]


def blurred(x: Array, u: Array, threat: Any) -> Array:  # noqa: ANN401
    """(C, H, W) as the mean of shifted copies, each weighted by the kernel at its shift."""
    width = float(u[0]) / 5 * threat.pixels
    half = (
        math.ceil(3 * threat.pixels) if threat.kind == "gaussian" else math.ceil(threat.pixels) + 2
    )
    kernel = {
        (row, column): _weight(threat, width, row, column, u)
        for row in range(-half, half + 1)
        for column in range(-half, half + 1)
    }
    total, (height, wide) = sum(kernel.values()), x.shape[1:]
    out = np.zeros_like(x)
    for (row, column), weight in kernel.items():
        if weight:
            rows = (np.arange(height) - row).clip(0, height - 1)
            columns = (np.arange(wide) - column).clip(0, wide - 1)
            out += weight / total * x[:, rows[:, None], columns]
    return out


def _weight(threat: Any, width: float, row: int, column: int, u: Array) -> float:  # noqa: ANN401
    """Return what a copy shifted by (row, column) counts."""
    distance = math.hypot(row, column)
    if threat.kind == "gaussian":
        return math.exp(-(distance**2) / (2 * max(width, 0.05) ** 2))
    if threat.kind == "defocus":
        return min(max(width + 0.5 - distance, 0.0), 1.0)
    angle = float(u[1]) * math.pi / 2
    along = np.linspace(-width / 2, width / 2, 2 * math.ceil(2 * threat.pixels) + 1)
    near = np.maximum(0, 1 - np.abs(column - along * math.cos(angle)))
    return float(near @ np.maximum(0, 1 - np.abs(row - along * math.sin(angle))))
