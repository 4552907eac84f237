"""Images in another light."""

from typing import Any

import numpy as np

from saddlepoint.audit.membership.kind import Array

__all__ = ["recoloured"]

_LUMA = np.array([0.299, 0.587, 0.114])


def recoloured(x: Array, u: Array, threat: Any) -> Array:  # noqa: ANN401
    """(C, H, W) with brightness, contrast, saturation and hue changed, in this order."""
    given = iter(u / 5)
    for name in ("brightness", "contrast", "saturation", "hue"):
        bound = float(getattr(threat, name))
        if bound > 0:
            x = _changed(x, name, float(next(given)) * bound)
    return x


def _changed(x: Array, name: str, by: float) -> Array:
    if name == "brightness":
        return np.clip(x + by, 0, 1)
    if name == "hue":
        return _turned(x, by)
    grey = _LUMA @ x.reshape(3, -1) if len(x) == 3 else x.reshape(1, -1).mean(0)
    middle = grey.mean() if name == "contrast" else grey.reshape(x.shape[1:])
    return np.clip(middle + (1 + by) * (x - middle), 0, 1)


def _turned(x: Array, by: float) -> Array:
    """Hue turned by a share of the circle; largest and smallest channel of each pixel stay.

    A colour of hue h has, in channel n, the value V - V S max(0, min(k, 4 - k, 1)) with
    k = (n + 6 h) mod 6 and n = 5, 3, 1 for red, green and blue.
    """
    red, green, blue = x
    most, chroma = x.max(0), np.ptp(x, axis=0)
    safe = np.where(chroma > 0, chroma, 1)
    sextant = np.select(
        [most == red, most == green],
        [(green - blue) / safe % 6, (blue - red) / safe + 2],
        (red - green) / safe + 4,
    )
    turned = sextant + 6 * by
    step = [(n + turned) % 6 for n in (5, 3, 1)]
    return np.stack([most - chroma * np.clip(np.minimum(k, 4 - k), 0, 1) for k in step])
