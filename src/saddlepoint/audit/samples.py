"""Samples to audit: anything with a length, batches and a hash of its content."""

import hashlib
from collections.abc import Iterable, Sized
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
import torch
from torch import Tensor

from saddlepoint.core.errors import BadData, Invalid
from saddlepoint.data.dataset import Dataset

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


Array: TypeAlias = "np.ndarray[Any, Any]"
Data: TypeAlias = Samples | tuple[Tensor, Tensor] | tuple[Array, Array] | Iterable[Any]


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
    """Take a pair of tensors or arrays, or anything with ``batch`` and ``sha256``, as samples.

    Returns None for a loader, which has to be read first; raises ``Invalid`` for what is neither.

    >>> as_samples((np.zeros((2, 3)), np.array([0, 1]))).y
    tensor([0, 1])
    """
    given: Any = data
    if isinstance(given, tuple | list) and len(given) == 2 and _held(given[0]):
        return Pair(_tensor("x", given[0]), _tensor("y", given[1]))
    if hasattr(given, "batch") and hasattr(given, "sha256"):
        return given  # type: ignore[no-any-return]
    if isinstance(data, Iterable | Sized) and not isinstance(data, _NO_LOADER):
        if isinstance(data, Dataset):
            raise Invalid("data", f"<{type(data).__name__}>", _FORMS, 'take its .split("test")')
        return None
    hint = f"load_data({data!r}).split('test')" if isinstance(data, str) else ""
    if _held(given) or isinstance(data, dict):
        hint = "labels are needed as well"
    raise Invalid("data", f"<{type(data).__name__}>", _FORMS, hint)


_NO_LOADER = (Tensor, np.ndarray, dict, str, bytes)
_FORMS = "a pair (x, y) of tensors or arrays, a data split, or a loader of such pairs"


def _held(part: object) -> bool:
    return isinstance(part, Tensor | np.ndarray)


def _tensor(name: str, part: Any) -> Tensor:  # noqa: ANN401 - whatever stands beside an array
    try:
        return torch.as_tensor(part)
    except (TypeError, ValueError, RuntimeError) as error:
        raise Invalid(
            name, f"<{type(part).__name__}>", "a tensor or an array", str(error)
        ) from error
