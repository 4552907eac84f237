"""One half of a data set: samples that turn into tensors batch by batch, and their fingerprint."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saddlepoint.core.errors import Invalid

__all__ = ["Index", "Reader", "Rows", "Split"]

Index: TypeAlias = slice | Sequence[int] | NDArray[np.integer[Any]] | Tensor

_CHUNK = 1024  # rows hashed at a time: large enough to be fast, small enough for any image


class Reader(Protocol):
    """Rows that are read from disk when asked for; an array of shape (N, *F) in all but memory."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, *F)."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """uint8, or float32 with values in [0, 1]."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any) -> NDArray[Any]:  # noqa: ANN401 - what numpy accepts
        ...


Rows: TypeAlias = NDArray[Any] | Reader


@dataclass(frozen=True, eq=False)
class Split:
    """Samples and labels: ``x`` (N, *F) as uint8 or as float32 in [0, 1], ``y`` (N,) int64.

    >>> split = Split(np.array([[[[0, 51, 255]]]], dtype=np.uint8), np.array([1]))
    >>> x, y = split.batch(slice(0, 1))
    >>> x.shape, [round(v, 3) for v in x.flatten().tolist()], y.tolist()
    (torch.Size([1, 1, 1, 3]), [0.0, 0.2, 1.0], [1])
    """

    x: Rows
    y: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.y)

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of one sample, (C, H, W) for images."""
        return tuple(self.x.shape[1:])

    def batch(self, rows: Index) -> tuple[Tensor, Tensor]:
        """Return the samples at ``rows`` as (float32 (B, *F) in [0, 1], int64 (B,)), both new.

        A byte v becomes the float32 nearest to v / 255; floats are passed on as they are.
        Raises ``Invalid`` when a row lies outside the split.
        """
        chosen = self._chosen(rows)
        values = torch.from_numpy(np.array(self.x[chosen], order="C"))
        x = values.to(torch.float32)
        if values.dtype == torch.uint8:
            x = x.div_(255)
        return x, torch.from_numpy(np.array(self.y[chosen], dtype=np.int64))

    def _chosen(self, rows: Index) -> slice | NDArray[Any]:
        if isinstance(rows, slice):
            return rows
        chosen = np.asarray(rows.cpu() if isinstance(rows, Tensor) else rows)
        if chosen.size == 0:
            return np.zeros(0, dtype=np.int64)
        if chosen.ndim != 1 or chosen.dtype.kind not in "iu":
            raise Invalid("rows", rows, "a slice or a flat sequence of whole numbers")
        if chosen.min() < 0 or chosen.max() >= len(self):
            worst = int(chosen.min() if chosen.min() < 0 else chosen.max())
            raise Invalid("rows", worst, f"in [0, {len(self) - 1}], as there are {len(self)} rows")
        return chosen

    def sha256(self, n: int | None = None) -> str:
        """Return the SHA-256 of the first ``n`` samples (all when None), in hexadecimal.

        Hashed are, for x and then for y, a line ``dtype (shape)`` and the little-endian bytes in
        row order: equal content gives equal hashes, from whatever file it came.

        >>> Split(np.zeros((2, 3), dtype=np.uint8), np.array([0, 1])).sha256(1)[:16]
        '37670c328161f7d3'
        """
        n = len(self) if n is None else n
        if not 0 <= n <= len(self):
            raise Invalid("n", n, f"in [0, {len(self)}], as there are {len(self)} samples")
        digest = hashlib.sha256()
        for rows in (self.x, self.y):
            digest.update(f"{rows.dtype.name} {(n, *rows.shape[1:])}\n".encode())
            for start in range(0, n, _CHUNK):
                chunk = np.ascontiguousarray(rows[start : min(start + _CHUNK, n)])
                digest.update(chunk.astype(chunk.dtype.newbyteorder("<"), copy=False).data)
        return digest.hexdigest()
