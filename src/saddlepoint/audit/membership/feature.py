"""Sets of features: distances by the definition, from activations in float64."""

import copy
from typing import Any

import numpy as np
import torch
from torch import nn

from saddlepoint.audit.membership.kind import Array, widen
from saddlepoint.models.taps import taps

__all__ = ["by_features", "feature_distance"]

_FLOOR = 1e-8  # squared length below which channels count as silent: part of the definition
_SLACK = 1e-5  # x_adv was stored in float32


def by_features(
    x: Array,
    u: Array | None,
    x_adv: Array,
    threat: Any,  # noqa: ANN401
    rows: Array,
) -> list[str]:
    """Say for each row what is wrong, or "" where the network sees x_adv close enough to x.

    Only the network itself is taken from the set: it runs in float64, and what it computes is
    normalised and compared in numpy.
    """
    seen = threat.perceptual
    b = widen(x_adv)
    radius = np.asarray(threat.eps, dtype=np.float64)
    eps = radius[rows] if radius.ndim else np.full(len(x), radius)
    good = [bool(np.isfinite(one).all()) for one in b]
    far = feature_distance(seen, x.astype(np.float64), np.where(np.isfinite(b), b, 0.0))
    return [
        _fault(good[i], float(far[i]), float(eps[i])) or _outside(b[i], threat.box)
        for i in range(len(b))
    ]


def feature_distance(seen: Any, x: Array, y: Array) -> Array:  # noqa: ANN401 - Perceptual
    """(B,) float64 how far apart the network of ``seen`` sees x and y, in numpy."""
    if not len(x):
        return np.zeros(0)
    module = copy.deepcopy(seen.network).double()
    _, read = taps(module, seen.layers)
    pairs = zip(_layers(module, read, x), _layers(module, read, y), strict=True)
    total = np.zeros(len(x))
    for i, (a, b) in enumerate(pairs):
        w = np.ones(a.shape[1]) if seen.weights is None else seen.weights[i].double().numpy()
        gap = (_directions(a) - _directions(b)) ** 2
        total += (
            (gap * w.reshape(1, -1, *[1] * (a.ndim - 2)))
            .sum(axis=1)
            .reshape(len(x), -1)
            .mean(axis=1)
        )
    return np.sqrt(total)


def _layers(module: nn.Module, read: Any, x: Array) -> list[Array]:  # noqa: ANN401 - Taps
    place = next((t.device for t in module.parameters()), torch.device("cpu"))
    with torch.no_grad():
        return [a.cpu().numpy() for a in read(module, torch.from_numpy(x).to(place))]


def _directions(a: Array) -> Array:
    """Channels at each place divided by their length."""
    found: Array = a / np.sqrt((a * a).sum(axis=1, keepdims=True) + _FLOOR)
    return found


def _fault(finite: bool, far: float, eps: float) -> str:
    if not finite:
        return "values that are not finite"
    if not far <= eps * (1 + _SLACK) + _SLACK:
        return f"feature distance {far:g} exceeds {eps:g}"
    return ""


def _outside(b: Array, box: tuple[float, float]) -> str:
    slack = 1e-6 * max(1.0, box[1] - box[0])
    low, high = float(b.min()), float(b.max())
    inside = low >= box[0] - slack and high <= box[1] + slack
    return "" if inside else f"values from {low:g} to {high:g} leave [{box[0]:g}, {box[1]:g}]"
