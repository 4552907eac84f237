"""Scores of the clean inputs: in memory while they are few, in a file of their own when many."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

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
        self.values: np.ndarray[Any, Any]
        if folder is None or n * classes * 4 <= _IN_MEMORY:
            self.values = np.zeros((n, classes), dtype=np.float32)
            return
        # Unlinked at once: it vanishes with the process, however that ends.
        with tempfile.TemporaryFile(dir=folder) as file:
            self.values = np.memmap(file, np.float32, "w+", shape=(n, classes))

    def put(self, rows: "np.ndarray[Any, Any]", scores: "np.ndarray[Any, Any]") -> None:
        """Enter the scores (B, K) of the given rows."""
        self.values[rows] = scores

    def get(self, rows: Tensor) -> Tensor:
        """(B, K) scores of the given rows."""
        return torch.from_numpy(np.array(self.values[rows.numpy()]))
