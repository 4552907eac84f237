"""Images that are decoded when they are asked for, so that a folder never has to fit in memory."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saddlepoint.core.errors import BadData

__all__ = ["SUFFIXES", "ImageFiles"]

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".pgm")
# Only plain raster formats: others of Pillow's start external programs or read other files.
_FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "PPM")
_CHANNELS = {"L": 1, "RGB": 3}


class ImageFiles:
    """Equally sized grey or RGB images as rows (N, C, H, W) of bytes, decoded on access.

    Sizes and modes are compared when the object is made, from the headers alone.
    Raises ``BadData`` that names the file: unreadable, too large, of another size or mode.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = list(paths)
        self._shape = _common_shape(self._paths)

    @property
    def shape(self) -> tuple[int, ...]:
        """Return (N, C, H, W)."""
        return (len(self._paths), *self._shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return uint8."""
        return np.dtype(np.uint8)

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: Any) -> NDArray[Any]:  # noqa: ANN401 - what numpy accepts
        rows = np.arange(len(self))[index]
        images = np.empty((len(rows), *self._shape), dtype=np.uint8)
        for image, row in zip(images, rows, strict=True):
            image[:] = _decode(self._paths[row], self._shape)
        return images


def _common_shape(paths: Sequence[Path]) -> tuple[int, int, int]:
    first: tuple[int, int, int] | None = None
    for path in paths:
        shape = _shape(path)
        first = first or shape
        if shape != first:
            raise BadData(
                f"{path} is {_words(shape)}, but {paths[0]} is {_words(first)}: "
                "all images must have the same size and number of channels; resize or convert them"
            )
    return first or (0, 0, 0)


def _words(shape: tuple[int, int, int]) -> str:
    channels, height, width = shape
    return f"{width}x{height} {'grey' if channels == 1 else 'RGB'}"


def _shape(path: Path) -> tuple[int, int, int]:
    mode, (width, height), _ = _open(path, decode=False)
    return _CHANNELS[mode], height, width


def _decode(path: Path, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    _, _, pixels = _open(path, decode=True)
    pixels = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    if pixels.shape != shape:
        raise BadData(f"{path} changed while it was in use: {pixels.shape} instead of {shape}")
    return pixels


def _open(path: Path, decode: bool) -> tuple[str, tuple[int, int], NDArray[np.uint8]]:
    """Return (mode, size, pixels); pixels are empty unless ``decode``."""
    from PIL import Image  # needed for folders of images only

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=_FORMATS) as image:
                pixels = np.asarray(image if decode else (), dtype=np.uint8)
                mode, size = image.mode, image.size
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadData(f"{path}: too large to be decoded safely ({error})") from error
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise BadData(f"{path}: not a readable image ({error}): replace or remove it") from error
    if mode not in _CHANNELS:
        raise BadData(f"{path} has mode {mode}: must be 8-bit grey (L) or RGB; convert it")
    return mode, size, pixels
