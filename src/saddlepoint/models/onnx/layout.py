"""ONNX operators that move numbers around, in torch. Arguments: inputs first, then attributes.

What ONNX passes as an integer tensor (shapes, axes, bounds) comes here as a tuple where it is
constant, and as a tensor where the graph computes it, from the size of the batch for example.
"""

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from saddlepoint.core.errors import Unsupported

__all__ = [
    "Ints",
    "concat",
    "constant",
    "constant_of_shape",
    "dropout",
    "expand",
    "flatten",
    "gather",
    "identity",
    "ints",
    "pad",
    "reshape",
    "shape",
    "slices",
    "split",
    "squeeze",
    "transpose",
    "unsqueeze",
]

Ints: TypeAlias = Sequence[int] | Tensor
_MOST = 1 << 28  # numbers that a constant may have


def ints(values: Ints) -> list[int]:
    """Return whole numbers, constant or computed, as a list."""
    return [int(v) for v in (values.flatten().tolist() if isinstance(values, Tensor) else values)]


def concat(*xs: Tensor, axis: int) -> Tensor:
    """Concat."""
    return torch.cat(xs, axis)


def constant(
    *,
    value: Tensor | None = None,
    value_float: float | None = None,
    value_floats: Sequence[float] | None = None,
    value_int: int | None = None,
    value_ints: Sequence[int] | None = None,
) -> Tensor:
    """Constant, given as a tensor or as numbers."""
    if value is not None:
        return value
    whole = value_int if value_ints is None else list(value_ints)
    if whole is not None:
        return torch.tensor(whole, dtype=torch.int64)
    real = value_float if value_floats is None else list(value_floats)
    if real is None:
        raise Unsupported("Constant without a dense numerical value")
    return torch.tensor(real, dtype=torch.float32)


def constant_of_shape(size: Ints, *, value: Tensor | None = None) -> Tensor:
    """ConstantOfShape: zeros unless a value is given."""
    sizes = ints(size)
    if math.prod(sizes) > _MOST:
        raise Unsupported(f"ConstantOfShape with {math.prod(sizes)} elements")
    device = size.device if isinstance(size, Tensor) else None
    if value is None:
        return torch.zeros(sizes, device=device)
    return value.to(device).expand(sizes) if sizes else value.reshape(())


def dropout(
    x: Tensor,
    ratio: Tensor | None = None,
    training_mode: Tensor | None = None,
    *,
    seed: int = 0,
) -> Tensor:
    """Dropout as in evaluation: nothing is dropped. A graph exported for training is refused."""
    if training_mode is not None and bool(training_mode):
        raise Unsupported("Dropout in training mode")
    return x


def expand(x: Tensor, size: Ints) -> Tensor:
    """Expand: broadcasts both ways."""
    return x.expand(np.broadcast_shapes(tuple(x.shape), tuple(ints(size))))


def flatten(x: Tensor, *, axis: int = 1) -> Tensor:
    """Flatten to a matrix: the axes before ``axis``, and those from it on."""
    axis = axis + x.dim() if axis < 0 else axis
    return x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))


def gather(x: Tensor, indices: Tensor, *, axis: int = 0) -> Tensor:
    """Gather whole slices along ``axis``; negative indices count from the end."""
    axis = axis + x.dim() if axis < 0 else axis
    rows = torch.where(indices < 0, indices + x.shape[axis], indices).to(x.device, torch.int64)
    taken = x.index_select(axis, rows.flatten())
    return taken.reshape((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))


def identity(x: Tensor) -> Tensor:
    """Identity."""
    return x


def pad(
    x: Tensor,
    pads: Ints,
    constant_value: Tensor | None = None,
    axes: Ints | None = None,
    *,
    mode: str = "constant",
    value: float = 0.0,
) -> Tensor:
    """Pad with a constant, by reflection or with the edge; negative amounts crop."""
    amounts = ints(pads)
    where = range(x.dim()) if axes is None else [a % x.dim() for a in ints(axes)]
    sides = [(0, 0)] * x.dim()
    for i, axis in enumerate(where):
        sides[axis] = (amounts[i], amounts[i + len(where)])
    flat = [amount for side in reversed(sides) for amount in side]
    if mode == "constant":
        fill = value if constant_value is None else float(constant_value)
        return F.pad(x, flat, value=fill)
    if mode not in ("reflect", "edge") or any(flat[2 * (x.dim() - 2) :]):
        raise Unsupported(f"Pad with mode {mode} on these axes")
    spatial = flat[: 2 * (x.dim() - 2)]
    return F.pad(x, spatial, mode="reflect" if mode == "reflect" else "replicate")


def reshape(x: Tensor, shape: Ints, *, allowzero: int = 0) -> Tensor:
    """Reshape: -1 is what remains, 0 the size of the input's axis unless ``allowzero``."""
    sizes = ints(shape)
    if not allowzero:
        sizes = [x.shape[i] if size == 0 else size for i, size in enumerate(sizes)]
    return x.reshape(sizes)


def shape(x: Tensor, *, start: int = 0, end: int | None = None) -> Tensor:
    """Shape, as a tensor of whole numbers."""
    return torch.tensor(x.shape[start:end], dtype=torch.int64, device=x.device)


def slices(
    x: Tensor,
    starts: Ints,
    ends: Ints,
    axes: Ints | None = None,
    steps: Ints | None = None,
) -> Tensor:
    """Slice along the given axes; steps may be negative."""
    begins, stops = ints(starts), ints(ends)
    where = list(range(len(begins))) if axes is None else ints(axes)
    jumps = [1] * len(begins) if steps is None else ints(steps)
    for begin, stop, axis, jump in zip(begins, stops, where, jumps, strict=True):
        size = x.shape[axis]
        # ONNX writes "to the very beginning" as a stop below -size; Python needs None for that.
        end = None if jump < 0 and stop < -size else stop
        chosen = range(*slice(begin, end, jump).indices(size))
        if jump == 1:
            x = x.narrow(axis, chosen.start, len(chosen)) if chosen else x.narrow(axis, 0, 0)
        else:
            x = x.index_select(axis, torch.tensor(list(chosen), device=x.device))
    return x


def split(
    x: Tensor, split: Ints | None = None, *, num_outputs: int, axis: int = 0
) -> tuple[Tensor, ...]:
    """Split into the given sizes, or into equal parts of which the last may be smaller."""
    if split is not None:
        return torch.split(x, ints(split), axis)
    return torch.split(x, math.ceil(x.shape[axis] / num_outputs), axis)


def squeeze(x: Tensor, axes: Ints | None = None) -> Tensor:
    """Squeeze: axes are an attribute before opset 13, an input after."""
    return x.squeeze() if axes is None else x.squeeze(tuple(ints(axes)))


def transpose(x: Tensor, *, perm: Sequence[int] | None = None) -> Tensor:
    """Transpose: reversed axes unless ``perm`` is given."""
    return x.permute(tuple(perm) if perm is not None else tuple(reversed(range(x.dim()))))


def unsqueeze(x: Tensor, axes: Ints) -> Tensor:
    """Unsqueeze: axes count in the result."""
    found = ints(axes)
    rank = x.dim() + len(found)
    for axis in sorted(a % rank for a in found):
        x = x.unsqueeze(axis)
    return x
