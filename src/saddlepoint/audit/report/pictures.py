"""Arrays as PNG images inside the page; the encoder needs the standard library only."""

import base64
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["difference", "image_uri", "is_image", "magnification", "png"]

Array = NDArray[Any]
NICE = (1, 1.5, 2, 3, 4, 5, 8, 10, 15, 20, 30, 50, 80, 100, 200, 500, 1000)


def is_image(shape: tuple[int, ...]) -> bool:
    """Whether a sample of this shape is a grey or colour picture (C, H, W).

    >>> is_image((1, 28, 28)), is_image((30,))
    (True, False)
    """
    return len(shape) == 3 and shape[0] in (1, 3)


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)


def png(pixels: Array) -> bytes:
    """Encode uint8 pixels (H, W, 1) or (H, W, 3), without loss and always to the same bytes.

    >>> png(np.zeros((2, 2, 1), dtype=np.uint8))[:4]
    b'\\x89PNG'
    """
    height, width, channels = pixels.shape
    head = struct.pack(">IIBBBBB", width, height, 8, {1: 0, 3: 2}[channels], 0, 0, 0)
    flat = pixels.reshape(height, width * channels)
    rows = np.concatenate([np.zeros((height, 1), np.uint8), flat], axis=1).tobytes()
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in parts)


def image_uri(x: Array, low: float = 0.0, high: float = 1.0) -> str:
    """Return an image (C, H, W) with values in [low, high] as a ``data:`` address."""
    unit = np.clip(np.nan_to_num((x - low) / (high - low)), 0, 1)
    pixels = np.round(255 * unit).astype(np.uint8).transpose(1, 2, 0)
    return "data:image/png;base64," + base64.b64encode(png(pixels)).decode("ascii")


def magnification(x: Array, x_adv: Array) -> float:
    """Return the round factor that shows the largest change in full without clipping any.

    One factor serves a whole gallery, so that its pictures compare.

    >>> magnification(np.zeros(3), np.array([0.0, 0.03, -0.01]))
    15
    """
    largest = float(np.nanmax(np.abs(x_adv - x), initial=0.0))
    if not 0 < largest < np.inf:
        return 1.0
    return max((f for f in NICE if f * largest <= 0.5 + 1e-6), default=0.5 / largest)


def difference(x: Array, x_adv: Array, factor: float) -> str:
    """Return the change as a picture: grey where nothing changed, brighter where raised."""
    return image_uri(0.5 + factor * (x_adv.astype(np.float64) - x))
