"""Shapes of patches: rectangles, frames of glasses, and masks from files."""

import warnings
import zipfile
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from saddlepoint.core.errors import BadData, Invalid

__all__ = ["glasses", "read_mask", "trim"]

_MOST = 1 << 26  # values in a mask, and bytes of a file: more is no mask of an image


@lru_cache(maxsize=32)
def glasses(height: int, width: int) -> Tensor:
    """(H, W) bool: a frame of glasses on a face that fills an image of this size.

    Two rims, a bridge and the front of the temples in the proportions of a centred face, drawn for
    this project after the idea of Sharif et al. (CCS 2016): about 6 % of the pixels. A line is at
    least one pixel thick, so small images have a larger share, and below 16 pixels it is a bar.

    >>> frame = glasses(112, 112)
    >>> bool((frame == frame.flip(1)).all()), round(float(frame.double().mean()), 2)
    (True, 0.06)
    """
    y = ((torch.arange(height, dtype=torch.float64) + 0.5) / height)[:, None]
    x = ((torch.arange(width, dtype=torch.float64) + 0.5) / width)[None, :]
    aside = (x - 0.5).abs()  # both halves at once
    thick = max(0.03, 1.01 / min(height, width))
    outer = ((aside - 0.22) / 0.17) ** 2 + ((y - 0.42) / 0.12) ** 2 <= 1
    inner = ((aside - 0.22) / (0.17 - thick)) ** 2 + ((y - 0.42) / (0.12 - thick)) ** 2 < 1
    bridge = (aside <= 0.06) & ((y - 0.40).abs() <= thick / 2)
    temple = (aside >= 0.38) & ((y - 0.40).abs() <= thick / 2)
    return (outer & ~inner) | bridge | temple


def trim(mask: Tensor) -> tuple[Tensor, int, int]:
    """Cut a mask to the rows and columns it uses; return it with its top and left.

    >>> trim(torch.tensor([[False, False], [False, True]]))
    (tensor([[True]]), 1, 1)
    """
    rows, columns = mask.any(1).nonzero()[:, 0], mask.any(0).nonzero()[:, 0]
    top, left = int(rows[0]), int(columns[0])
    return mask[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1], top, left


def read_mask(path: Path) -> tuple[Tensor, str]:
    """(H, W) bool and the file's sha256: from a black and white .png, or an .npz with one array.

    Raises ``BadData`` for a file that is unreadable or unsafe, ``Invalid`` for one that holds no
    mask.
    """
    if path.suffix not in (".npz", ".png"):
        raise Invalid("mask", str(path), "'glasses', or an .npz or .png file")
    try:
        size = path.stat().st_size
        if size > _MOST:
            raise BadData(f"{path} has {size} bytes: too large for a mask")
        content = sha256(path.read_bytes()).hexdigest()[:16]
    except OSError as error:
        raise BadData(f"{path}: not a readable mask ({error})") from error
    values = _read_npz(path) if path.suffix == ".npz" else _read_png(path)
    mask = torch.from_numpy(values)
    if mask.dim() != 2:
        raise Invalid("mask", f"<shape {tuple(mask.shape)} in {path}>", "rows and columns (H, W)")
    if not bool(mask.any()):
        raise Invalid("mask", f"<nothing set in {path}>", "a mask with at least one pixel")
    return mask, content


def _read_npz(path: Path) -> Any:  # noqa: ANN401 - an array of bool
    import numpy as np

    try:
        with zipfile.ZipFile(path) as archive:
            large = sum(part.file_size for part in archive.infolist()) > _MOST
        if large:
            raise BadData(f"{path}: too large for a mask once unpacked")
        with np.load(path, allow_pickle=False) as stored:
            names = list(stored.files)
            values = stored["mask" if "mask" in names else names[0]] if names else np.empty(0)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        if isinstance(error, BadData):
            raise
        raise BadData(f"{path}: not a readable .npz without objects ({error})") from error
    if len(names) != 1 and "mask" not in names:
        raise Invalid("mask", f"<{len(names)} arrays in {path}>", "one array, or one called mask")
    if values.dtype != np.bool_ and not np.isin(values, (0, 1)).all():
        raise Invalid("mask", f"<values in {path}>", "0 and 1, or false and true, only")
    return values.astype(np.bool_)


def _read_png(path: Path) -> Any:  # noqa: ANN401 - an array of bool
    import numpy as np
    from PIL import Image  # needed for masks that are images only

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=("PNG",)) as image:
                mode, pixels = image.mode, np.asarray(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadData(f"{path}: too large to be decoded safely ({error})") from error
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise BadData(f"{path}: not a readable .png ({error})") from error
    if mode not in ("1", "L"):
        raise Invalid("mask", f"<a .png of mode {mode}>", "black and white, or 8-bit grey (L)")
    return pixels.copy() if mode == "1" else pixels > 127
