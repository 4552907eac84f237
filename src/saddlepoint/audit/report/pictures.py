"""Arrays as PNG images inside the page; the encoder needs the standard library only."""

import base64
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["difference", "image_uri", "is_image", "magnification", "png", "signed_uri", "thumbnail"]

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


def thumbnail(x: Array, most: int = 176) -> Array:
    """Return an image (C, H, W) with at most about ``most`` pixels a side, each a mean of a block.

    >>> thumbnail(np.zeros((3, 400, 400))).shape, thumbnail(np.zeros((1, 28, 28))).shape
    ((3, 133, 133), (1, 28, 28))
    """
    block = -(-max(x.shape[1:]) // most)
    if block <= 1 or min(x.shape[1:]) < block:
        return x
    c, h, w = x.shape[0], x.shape[1] // block, x.shape[2] // block
    whole = x[:, : h * block, : w * block].reshape(c, h, block, w, block)
    small: Array = whole.mean((2, 4))
    return small


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


# From blue over white to orange, dark at both ends: told apart by everyone, and in grey by sign.
_BELOW, _ABOVE = np.array([12, 68, 140]), np.array([176, 74, 0])


def signed_uri(v: Array, scale: float) -> str:
    """Return signed values (C, H, W) in [-scale, scale] as a ``data:`` address.

    One channel becomes blue below 0, white at 0 and orange above; three channels are colours about
    grey, so that each keeps its own sign.
    """
    unit = np.clip(np.nan_to_num(v.astype(np.float64) / (scale or 1.0)), -1, 1)
    if len(v) == 3:
        return image_uri(0.5 + 0.5 * unit)
    share = np.abs(unit[0])[..., None]
    end = np.where(unit[0][..., None] < 0, _BELOW, _ABOVE)
    pixels = np.round(255 * (1 - share) + end * share).astype(np.uint8)
    return "data:image/png;base64," + base64.b64encode(png(pixels)).decode("ascii")
