"""A file that names one class for each sample."""

import io
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from saddlepoint.core.errors import BadData

__all__ = ["read_classes"]

_MOST = 1 << 28  # bytes of such a file


def read_classes(path: Path) -> Tensor:
    """Return the classes (n,) int64 of an .npz or .txt file; raises ``BadData`` where it has none.

    An .npz has an array called ``target``, or a single one; a .txt one whole number a line.
    """
    try:
        if path.stat().st_size > _MOST:
            raise BadData(f"{path}: too large for a list of classes")
        values = _npz(path) if path.suffix == ".npz" else _lines(path)
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise BadData(f"{path} is no readable list of classes: {error}") from error
    if values.ndim != 1 or values.dtype.kind not in "iu" or not len(values):
        raise BadData(f"{path}: must hold one whole number for each sample")
    return torch.from_numpy(values.astype(np.int64))


def _npz(path: Path) -> "np.ndarray[tuple[int, ...], np.dtype[np.int64]]":
    with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
        names = list(stored.files)
        if "target" not in names and len(names) != 1:
            raise ValueError(f"arrays {names}, and none of them called target")
        return np.asarray(stored["target" if "target" in names else names[0]])


def _lines(path: Path) -> "np.ndarray[tuple[int, ...], np.dtype[np.int64]]":
    return np.array([int(line) for line in path.read_text().split()], dtype=np.int64)
