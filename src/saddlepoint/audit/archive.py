"""Archives of arrays (.npz), written piece by piece."""

import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from saddlepoint.core.files import write_file

__all__ = ["Column", "whole", "write_npz"]

Array = np.ndarray[Any, Any]
_ROWS = 1 << 16  # converted at a time


@dataclass(frozen=True)
class Column:
    """One array of the archive, as the pieces that it consists of along its first axis."""

    dtype: "np.dtype[Any]"
    shape: tuple[int, ...]
    pieces: Iterable[Array]


def whole(array: Array) -> Column:
    """An array that is there already."""
    return Column(array.dtype, array.shape, (array,))


def write_npz(path: Path, columns: Mapping[str, Column]) -> None:
    """Write what ``np.savez_compressed`` writes, without holding more than a piece in memory.

    Equal content gives equal bytes: no time is stamped into the archive.
    """

    def save(part: Path) -> None:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, column in columns.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as f:
                    _write(f, column)

    write_file(path, save)


def _write(f: Any, column: Column) -> None:  # noqa: ANN401 - a file of zipfile's
    descr = npy.dtype_to_descr(column.dtype)
    npy.write_array_header_1_0(f, {"descr": descr, "fortran_order": False, "shape": column.shape})
    for piece in column.pieces:
        for first in range(0, len(piece), _ROWS):
            rows = piece[first : first + _ROWS]
            f.write(np.ascontiguousarray(rows, dtype=column.dtype).tobytes())
