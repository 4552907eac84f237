"""Samples from a loader: read once, kept on disk, and asked for by row."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saddlepoint.audit.rowfile import RowFile
from saddlepoint.core.errors import BadData

__all__ = ["Spool", "spool"]

_LOADER = "give the data set to a torch.utils.data.DataLoader"


class Spool:
    """Samples in files without names; memory holds the rows of a batch.

    x: (n, *F) uint8 or float32. y: (n,) int64.
    """

    def __init__(self, x: RowFile, y: RowFile) -> None:
        self.x, self.y = x, y

    def __len__(self) -> int:
        return len(self.y)

    def batch(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rows, images as floats in [0, 1]."""
        chosen = rows.numpy()
        x = torch.from_numpy(self.x.take(chosen))
        y = torch.from_numpy(self.y.take(chosen))
        return (x.float() / 255 if x.dtype == torch.uint8 else x), y

    def sha256(self, n: int) -> str:
        """Hash the first n samples as a pair of tensors with this content is hashed."""
        digest = hashlib.sha256()
        for rows, name in ((self.x, f"torch.{self.x.dtype.name}"), (self.y, "torch.int64")):
            digest.update(f"{(n, *rows.shape)}{name}".encode())
            for piece in rows.pieces(n):
                digest.update(piece.data)
        return digest.hexdigest()

    def close(self) -> None:
        """Give the disk space back."""
        self.x.close()
        self.y.close()


def spool(batches: Any, n: int | None, folder: Path | None) -> Spool:  # noqa: ANN401 - a loader
    """Read batches (x, y) until there are n samples, or until they end, in one pass.

    folder: where the files lie, on a disk with room for the samples; None is the temporary one.
    Raises ``BadData`` that names the batch for whatever cannot be samples: nothing of an earlier
    run is touched before all is read.

    >>> data = spool([(torch.rand(2, 3), torch.tensor([0, 1]))] * 2, None, None)
    >>> len(data), data.batch(torch.tensor([3]))[1].tolist()
    (4, [1])
    >>> data.close()
    """
    found: Spool | None = None
    try:
        for number, (x, y) in enumerate(_pairs(batches, n)):
            if found is None:
                found = Spool(RowFile(folder, x.dtype, x.shape[1:]), RowFile(folder, y.dtype, ()))
            if x.shape[1:] != found.x.shape or x.dtype != found.x.dtype:
                raise BadData(
                    f"batch {number} holds samples of {_kind(x.dtype, x.shape[1:])}, those before "
                    f"of {_kind(found.x.dtype, found.x.shape)}: bring all to one shape and type"
                )
            found.x.append(x)
            found.y.append(y)
    except BaseException:
        if found is not None:
            found.close()
        raise
    if found is None or not len(found):
        if found is not None:
            found.close()
        raise BadData(
            "the loader gave no samples; an iterator that was read before is empty: make a new one"
        )
    return found


def _kind(dtype: "np.dtype[Any]", shape: tuple[int, ...]) -> str:
    return f"shape {tuple(shape)} and type {dtype}"


def _pairs(batches: Any, n: int | None) -> Iterator[tuple[Any, Any]]:  # noqa: ANN401 - a loader
    """Yield arrays of at most n samples in all; a loader that fails is told from its content."""
    seen, number = 0, 0
    stream = _begun(batches)
    while n is None or seen < n:
        try:
            batch = next(stream)
        except StopIteration:
            return
        except Exception as error:
            raise BadData(
                f"the loader failed after {seen:,} samples, in batch {number}: "
                f"{type(error).__name__}: {error}"
            ) from error
        x, y = _arrays(batch, f"batch {number}")
        left = len(x) if n is None else n - seen
        yield x[:left], y[:left]
        seen, number = seen + len(x), number + 1


def _begun(batches: Any) -> Iterator[Any]:  # noqa: ANN401 - a loader
    try:
        return iter(batches)
    except Exception as error:
        raise BadData(f"the loader cannot be read: {type(error).__name__}: {error}") from error


def _arrays(batch: object, where: str) -> tuple[Any, Any]:
    """Take one batch apart: x as uint8 or float32, y as int64."""
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        parts = f" of {len(batch)}" if isinstance(batch, tuple | list | dict) else ""
        hint = f"; its keys are {', '.join(map(repr, batch))}" if isinstance(batch, dict) else ""
        raise BadData(
            f"{where} is a {type(batch).__name__}{parts}: must be a pair (x, y); wrap the loader, "
            f"such as ((b[0], b[1]) for b in loader){hint}"
        )
    x, y = (torch.from_numpy(t) if isinstance(t, np.ndarray) else t for t in batch)
    if not isinstance(x, Tensor) or not isinstance(y, Tensor) or x.dim() < 1 or y.dim() < 1:
        kinds = " and ".join(_said(t) for t in (x, y))
        raise BadData(f"{where} holds {kinds}: must be tensors (B, *F) and (B,); {_LOADER}")
    if len(x) != len(y):
        raise BadData(f"{where} holds {len(x)} inputs but {len(y)} labels: {_LOADER}")
    return _inputs(x.detach().cpu(), where), _labels(y.detach().cpu(), where)


def _said(part: object) -> str:
    kind = "a single number" if isinstance(part, Tensor) else f"a {type(part).__name__}"
    return f"a tensor {tuple(part.shape)}" if isinstance(part, Tensor) and part.dim() else kind


def _inputs(x: Tensor, where: str) -> Any:  # noqa: ANN401 - an array of either type
    if x.dim() < 2:
        raise BadData(f"{where}: x has shape {tuple(x.shape)}: must be (B, *F)")
    if x.dtype != torch.uint8 and not x.is_floating_point():
        raise BadData(
            f"{where}: x has type {x.dtype}: must be floats, or uint8 (0..255), so that there is "
            "no doubt about its scale"
        )
    return (x if x.dtype == torch.uint8 else x.float()).contiguous().numpy()


def _labels(y: Tensor, where: str) -> Any:  # noqa: ANN401
    if y.dim() == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.dim() != 1:
        raise BadData(f"{where}: y has shape {tuple(y.shape)}: must be (B,); of scores argmax(1)")
    if y.is_floating_point() or y.is_complex() or y.dtype == torch.bool:
        raise BadData(f"{where}: y has type {y.dtype}: labels must be whole numbers (int64)")
    if len(y) and int(y.min()) < 0:
        raise BadData(f"{where}: y holds the label {int(y.min())}: they must count from 0")
    return y.to(torch.int64).contiguous().numpy()
