"""Scores of the clean inputs: in memory while they are few, in a file of their own when many."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saddlepoint.audit.rowfile import RowFile

__all__ = ["ScoreTable"]

_IN_MEMORY = 64 << 20  # bytes


class ScoreTable:
    """(n, K) float32 by row number; a large table lies on disk, in a file that no one else sees.

    >>> table = ScoreTable(4, 2, None)
    >>> table.put(np.array([1, 3]), np.array([[1, 2], [3, 4]]))
    >>> table.get(torch.tensor([3])).tolist()
    [[3.0, 4.0]]
    """

    def __init__(self, n: int, classes: int, folder: Path | None) -> None:
        self.shape = (n, classes)
        few = n * classes * 4 <= _IN_MEMORY
        self._here = np.zeros((n if few else 0, classes), dtype=np.float32)
        self._there = None if few else RowFile(folder, np.dtype(np.float32), (classes,), n)

    def put(self, rows: "np.ndarray[Any, Any]", scores: "np.ndarray[Any, Any]") -> None:
        """Enter the scores (B, K) of the given rows."""
        if self._there is not None:
            self._there.put(rows, scores)
        else:
            self._here[rows] = scores

    def get(self, rows: Tensor) -> Tensor:
        """(B, K) scores of the given rows."""
        chosen = rows.numpy()
        if self._there is not None:
            return torch.from_numpy(self._there.take(chosen))
        return torch.from_numpy(self._here[chosen])

    def pieces(self) -> "Iterator[np.ndarray[Any, Any]]":
        """All rows in order, a piece at a time."""
        if self._there is not None:
            yield from self._there.pieces()
        else:
            yield self._here

    def close(self) -> None:
        """Give the disk space back."""
        if self._there is not None:
            self._there.close()
