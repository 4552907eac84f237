"""Instances as they travel: lists of numbers, a PNG, or raw float32, and always the same text."""

import base64
import io
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saddlepoint.models.service.settings import InputSettings

__all__ = ["Encoder"]

_ULP = 2.0**-24  # the smallest step that every float32 in [0, 1] can take towards the middle


class Encoder:
    """Turns float32 instances (B, *F) into JSON text, one piece for each, exact where it can be.

    >>> Encoder(InputSettings(range=(0, 255), integers=True))(np.full((1, 1, 2), 0.5, np.float32))
    ['[[128,128]]']
    """

    def __init__(self, said: InputSettings) -> None:
        self._said = said
        self.bytes = said.encoding == "png"
        self.integers = said.integers or self.bytes

    @property
    def step(self) -> float:
        """The smallest change of an input in [0, 1] that every instance's text shows."""
        low, high = (0.0, 255.0) if self.bytes else self._said.range
        if self.integers:
            return 1 / (high - low)
        return _ULP if (low, high) == (0.0, 1.0) else 4 * _ULP  # scaling rounds as well

    def __call__(self, x: NDArray[np.float32]) -> list[str]:
        """Return one JSON text per instance."""
        values = self._ranged(x)
        if self._said.layout == "HWC" and not self.bytes:
            values = np.moveaxis(values, 1, -1)
        return [json.dumps(self._one(row), separators=(",", ":")) for row in values]

    def _ranged(self, x: NDArray[np.float32]) -> NDArray[Any]:
        low, high = (0.0, 255.0) if self.bytes else self._said.range
        values = x if (low, high) == (0.0, 1.0) else x * np.float32(high - low) + np.float32(low)
        if self.integers:
            return np.clip(np.rint(values), round(low), round(high)).astype(np.int64)
        return (values + np.float32(0)).astype(np.float32)  # no -0.0 beside 0.0

    def _one(self, row: NDArray[Any]) -> Any:  # noqa: ANN401 - anything that JSON can hold
        if self._said.encoding == "nested":
            return row.tolist()
        if self._said.encoding == "flat":
            return row.ravel().tolist()
        raw = _png(row) if self.bytes else np.ascontiguousarray(row, dtype="<f4").tobytes()
        return base64.b64encode(raw).decode()


def _png(row: NDArray[Any]) -> bytes:
    from PIL import Image

    """Return the file of an image (H, W) or (C, H, W) with one channel or three."""
    pixels = row.astype(np.uint8)
    if pixels.ndim == 3:
        pixels = pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1)
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(stream, "PNG", compress_level=6)
    return stream.getvalue()
