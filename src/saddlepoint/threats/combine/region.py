"""Which values of an input may change: boxes of indices, tensors, and masks from files."""

import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor

from saddlepoint.core.errors import BadData, Invalid

__all__ = ["Mask", "canonical", "checked", "inside", "read"]

Mask: TypeAlias = str | Tensor | tuple[Any, ...]
_MOST = 1 << 28  # values of a mask: more is no mask of an input


def inside(mask: Tensor | tuple[Any, ...], shape: tuple[int, ...]) -> Tensor:
    """(*F) bool: the values of an input of this shape that may change.

    mask: a tensor of the last axes, or a (first, end) for each of them, None for a whole axis.
    Raises ``Invalid`` where it does not fit the shape, or nothing is left.

    >>> inside(((0, 1), None), (2, 2))
    tensor([[ True,  True],
            [False, False]])
    """
    if isinstance(mask, Tensor):
        if mask.dim() > len(shape) or tuple(mask.shape) != shape[len(shape) - mask.dim() :]:
            allowed = f"of shape {shape}, that of an input, or of its last axes"
            raise Invalid("mask", f"<shape {tuple(mask.shape)}>", allowed)
        return mask.expand(shape)
    if len(mask) > len(shape):
        raise Invalid("mask", mask, f"no more than {len(shape)} pairs for inputs of shape {shape}")
    kept = torch.ones(shape, dtype=torch.bool)
    for axis, pair in enumerate(mask, len(shape) - len(mask)):
        if pair is None:
            continue
        first, end = pair
        if end > shape[axis]:
            raise Invalid("mask", mask, f"within {shape}, the shape of an input")
        at = torch.arange(shape[axis])
        along = (at >= first) & (at < end)
        kept = kept & along.reshape(-1, *[1] * (len(shape) - 1 - axis))
    return kept


def canonical(mask: Any) -> tuple[Any, ...]:  # noqa: ANN401 - a tuple of pairs or slices
    """Pairs in place of slices; raises ``Invalid`` for what is neither."""
    found = tuple(_pair(part, mask) for part in (mask if isinstance(mask, tuple) else (mask,)))
    if not found:
        raise Invalid("mask", mask, "a (first, end) for each of the last axes")
    return found


def _pair(part: Any, mask: Any) -> tuple[int, int] | None:  # noqa: ANN401
    if isinstance(part, slice) and part.step in (None, 1) and part.stop is not None:
        part = (part.start or 0, part.stop)
    if part is None or (isinstance(part, slice) and part == slice(None)):
        return None
    whole = isinstance(part, tuple | list) and len(part) == 2
    if not whole or not all(isinstance(i, int) and not isinstance(i, bool) for i in part):
        hint = 'such as ((8, 20), (8, 20)), or "mask.npz"'
        raise Invalid("mask", mask, "a (first, end) for each of the last axes, or a file", hint)
    first, end = part
    if not 0 <= first < end:
        raise Invalid("mask", mask, "0 <= first < end: it would be empty")
    return first, end


def checked(values: Tensor, name: str) -> Tensor:
    """The values as bool; raises ``Invalid`` unless they are zeros and some ones."""
    if values.dtype != torch.bool and not bool(((values == 0) | (values == 1)).all()):
        raise Invalid("mask", f"<values of {name}>", "0 and 1, or false and true, only")
    if not values.dim() or not bool(values.any()):
        raise Invalid("mask", f"<nothing set in {name}>", "at least one value that may change")
    return values.bool()


def read(path: str) -> tuple[Tensor, str]:
    """Return the mask of an .npz file, its array ``mask`` or its only one, and its sha256.

    Raises ``BadData`` for a file that cannot be read.
    """
    import numpy as np

    try:
        content = sha256(Path(path).read_bytes()).hexdigest()[:16]
        with zipfile.ZipFile(path) as archive:
            if sum(part.file_size for part in archive.infolist()) > _MOST:
                raise BadData(f"{path}: too large for a mask")
        with np.load(path, allow_pickle=False) as stored:
            name = "mask" if "mask" in stored.files or not stored.files else stored.files[0]
            if name != "mask" and len(stored.files) > 1:
                raise BadData(f"{path}: several arrays, and none of them called mask")
            values = torch.from_numpy(np.ascontiguousarray(stored[name]))
    except BadData:
        raise
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise BadData(f"{path} is no readable mask (.npz): {error}") from error
    return checked(values, path), content
