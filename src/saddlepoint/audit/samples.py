"""Samples to audit: anything with a length, batches and a hash of its content."""

import hashlib
from collections.abc import Iterable, Sized
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor

from saddlepoint.core.errors import BadData, Invalid

__all__ = ["Data", "Pair", "Samples", "as_samples"]


class Samples(Protocol):
    """Labelled inputs that are read a batch at a time."""

    def __len__(self) -> int: ...

    def batch(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return inputs (B, *F) float32 and labels (B,) int64 of the given row numbers."""
        ...

    def sha256(self, n: int) -> str:
        """Hash the content of the first n samples."""
        ...


Data: TypeAlias = Samples | tuple[Tensor, Tensor] | Iterable[Any]


@dataclass(frozen=True, eq=False)
class Pair:
    """Two tensors in memory.

    >>> Pair(torch.rand(3, 2), torch.tensor([0, 1, 0])).batch(torch.tensor([2]))[1]
    tensor([0])
    """

    x: Tensor
    y: Tensor

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y):
            raise BadData(f"{len(self.x)} inputs but {len(self.y)} labels")

    def __len__(self) -> int:
        return len(self.x)

    def batch(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rows, images as floats in [0, 1]."""
        x = self.x[rows]
        return (x.float() / 255 if x.dtype == torch.uint8 else x), self.y[rows].to(torch.int64)

    def sha256(self, n: int) -> str:
        """Hash shapes, types and bytes of the first n samples."""
        digest = hashlib.sha256()
        for t in (self.x[:n], self.y[:n]):
            t = t.detach().cpu().contiguous()
            digest.update(f"{tuple(t.shape)}{t.dtype}".encode())
            digest.update(t.reshape(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()


def as_samples(data: Data) -> Samples | None:
    """Take a pair of tensors, or anything with ``batch`` and ``sha256``, as samples.

    Returns None for a loader, which has to be read first; raises ``Invalid`` for what is neither.
    """
    given: Any = data
    if isinstance(given, tuple) and len(given) == 2 and isinstance(given[0], Tensor):
        return Pair(*given)
    if hasattr(given, "batch") and hasattr(given, "sha256"):
        return given  # type: ignore[no-any-return]
    if isinstance(data, Iterable | Sized) and not isinstance(data, Tensor | dict | str | bytes):
        return None
    allowed = "a pair (x, y) of tensors, a data split, or a loader of such pairs"
    raise Invalid("data", f"<{type(data).__name__}>", allowed)
