"""Rows on disk instead of in memory, in a file that no one else sees."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from saddlepoint.core.files import full_disk

__all__ = ["RowFile"]

Array = np.ndarray[Any, Any]
_PIECE = 4 << 20  # bytes read at a time


class RowFile:
    """Values (n, *F) by row number; the file has no name and vanishes with the process.

    The file is mapped for the moment of each access only: what stays mapped counts as memory of
    the process, and would grow with n.

    >>> rows = RowFile(None, np.dtype(np.uint8), (2,))
    >>> rows.append(np.array([[1, 2], [3, 4], [5, 6]], dtype=np.uint8))
    >>> rows.take(np.array([2, 0])).tolist(), len(rows)
    ([[5, 6], [1, 2]], 3)
    >>> rows.close()
    """

    def __init__(
        self, folder: Path | None, dtype: "np.dtype[Any]", shape: tuple[int, ...], n: int = 0
    ) -> None:
        self.dtype, self.shape, self.n = dtype, shape, n
        self.place = folder or Path(tempfile.gettempdir())
        with full_disk(self.place):
            # Unlinked at once: nothing is left behind, however the process ends.
            self._file = tempfile.TemporaryFile(dir=self.place)  # noqa: SIM115 - held until close
            self._file.truncate(n * self._width)

    def __len__(self) -> int:
        return self.n

    @property
    def _width(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def append(self, values: Array) -> None:
        """Add rows (B, *F) at the end."""
        with full_disk(self.place):
            self._file.seek(self.n * self._width)
            self._file.write(np.ascontiguousarray(values, dtype=self.dtype).data)
            self._file.flush()
        self.n += len(values)

    def take(self, rows: Array) -> Array:
        """(B, *F) a copy of the given rows."""
        if not self.n:
            return np.empty((0, *self.shape), dtype=self.dtype)
        return np.array(self._mapped("r")[rows], subok=False)

    def put(self, rows: Array, values: Array) -> None:
        """Replace the given rows."""
        self._mapped("r+")[rows] = values

    def pieces(self, n: int | None = None) -> Iterator[Array]:
        """The first n rows (all of them), in order, a few megabytes at a time."""
        end, step = self.n if n is None else n, max(_PIECE // max(self._width, 1), 1)
        for first in range(0, end, step):
            yield self.take(np.arange(first, min(first + step, end)))

    def close(self) -> None:
        """Give the disk space back."""
        self._file.close()

    def _mapped(self, mode: Any) -> Array:  # noqa: ANN401 - a literal of numpy's
        return np.memmap(self._file, self.dtype, mode, shape=(self.n, *self.shape))
