"""ONNX convolutions and poolings in torch. Arguments: inputs first, then ONNX attributes."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor
from torch.nn import functional as F
from torch.overrides import has_torch_function_unary

from saddlepoint.core.errors import Unsupported

__all__ = [
    "average_pool",
    "conv",
    "conv_transpose",
    "global_average_pool",
    "global_max_pool",
    "max_pool",
]

Ints = Sequence[int]
Sides = list[tuple[int, int]]  # padding (begin, end) of every spatial axis
_Op = Callable[..., Tensor]
_AUTO_PADS = ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")
_CONV: tuple[_Op, ...] = (F.conv1d, F.conv2d, F.conv3d)
_CONV_TRANSPOSE: tuple[_Op, ...] = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)
_MAX_POOL: tuple[_Op, ...] = (F.max_pool1d, F.max_pool2d, F.max_pool3d)
_AVG_POOL: tuple[_Op, ...] = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)


def _axes(x: Tensor) -> int:
    if x.dim() not in (3, 4, 5):
        raise Unsupported(f"a window over an input of rank {x.dim()}")
    return x.dim() - 2


def _sides(
    x: Tensor, kernel: Ints, strides: Ints, dilations: Ints, pads: Ints | None, auto_pad: str
) -> Sides:
    """Return the padding, computed from the input's size where ``auto_pad`` asks for that."""
    n = _axes(x)
    if auto_pad not in _AUTO_PADS:
        raise Unsupported(f"auto_pad = {auto_pad}")
    if auto_pad.startswith("SAME"):
        return [
            _same(size, k, s, d, auto_pad)
            for size, k, s, d in zip(x.shape[2:], kernel, strides, dilations, strict=True)
        ]
    if pads is None or auto_pad == "VALID":
        return [(0, 0)] * n
    return list(zip(pads[:n], pads[n:], strict=True))


def _same(size: int, kernel: int, stride: int, dilation: int, auto_pad: str) -> tuple[int, int]:
    out = math.ceil(size / stride)
    total = max((out - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    small, large = total // 2, total - total // 2
    return (small, large) if auto_pad == "SAME_UPPER" else (large, small)


def _pad(x: Tensor, sides: Sides, value: float) -> Tensor:
    flat = [amount for side in reversed(sides) for amount in side]
    return F.pad(x, flat, value=value) if any(flat) else x


def _symmetric(sides: Sides, kernel: Ints | None = None) -> bool:
    """Tell whether torch can do the padding itself; its poolings allow half a window at most."""
    fits = kernel is None or all(2 * b <= k for (b, _), k in zip(sides, kernel, strict=True))
    return fits and all(begin == end for begin, end in sides)


def conv(
    x: Tensor,
    w: Tensor,
    b: Tensor | None = None,
    *,
    strides: Ints | None = None,
    pads: Ints | None = None,
    dilations: Ints | None = None,
    group: int = 1,
    auto_pad: str = "NOTSET",
    kernel_shape: Ints | None = None,
) -> Tensor:
    """Conv in one, two or three dimensions."""
    n = _axes(x)
    strides, dilations = strides or [1] * n, dilations or [1] * n
    sides = _sides(x, w.shape[2:], strides, dilations, pads, auto_pad)
    padding = [0] * n
    if _symmetric(sides):
        padding = [begin for begin, _ in sides]
    else:
        x = _pad(x, sides, 0.0)
    return _CONV[n - 1](x, w, b, list(strides), padding, list(dilations), group)


def conv_transpose(
    x: Tensor,
    w: Tensor,
    b: Tensor | None = None,
    *,
    strides: Ints | None = None,
    pads: Ints | None = None,
    dilations: Ints | None = None,
    output_padding: Ints | None = None,
    output_shape: Ints | None = None,
    group: int = 1,
    auto_pad: str = "NOTSET",
    kernel_shape: Ints | None = None,
) -> Tensor:
    """ConvTranspose: computed without padding, then cropped, as pads may differ by side."""
    n = _axes(x)
    strides, dilations = list(strides or [1] * n), list(dilations or [1] * n)
    extra = list(output_padding or [0] * n)
    sides = list(zip(pads[:n], pads[n:], strict=True)) if pads else [(0, 0)] * n
    if auto_pad in ("SAME_UPPER", "SAME_LOWER") and output_shape is None:
        output_shape = [size * s for size, s in zip(x.shape[2:], strides, strict=True)]
    full = _CONV_TRANSPOSE[n - 1](x, w, None, strides, 0, extra, group, dilations)
    if output_shape is not None:
        wanted = output_shape[-n:]
        surplus = [size - out for size, out in zip(full.shape[2:], wanted, strict=True)]
        halves = [(s // 2, s - s // 2) for s in surplus]
        sides = halves if auto_pad == "SAME_UPPER" else [(end, begin) for begin, end in halves]
    cropped = _pad(full, [(-begin, -end) for begin, end in sides], 0.0)
    return cropped if b is None else cropped + b.reshape(-1, *[1] * n)


def max_pool(
    x: Tensor,
    *,
    kernel_shape: Ints,
    strides: Ints | None = None,
    pads: Ints | None = None,
    dilations: Ints | None = None,
    ceil_mode: int = 0,
    storage_order: int = 0,
    auto_pad: str = "NOTSET",
) -> Tensor:
    """MaxPool; padding never wins."""
    n = _axes(x)
    strides, dilations = strides or [1] * n, dilations or [1] * n
    sides = _sides(x, kernel_shape, strides, dilations, pads, auto_pad)
    padding = [0] * n
    if _symmetric(sides, kernel_shape):
        padding = [begin for begin, _ in sides]
    elif has_torch_function_unary(x):  # who records operators cannot add minus infinity
        x = _repeat_edges(x, sides, kernel_shape, dilations)
    else:
        x = _pad(x, sides, -math.inf)
    return _MAX_POOL[n - 1](
        x, list(kernel_shape), list(strides), padding, list(dilations), bool(ceil_mode)
    )


def _repeat_edges(x: Tensor, sides: Sides, kernel: Ints, dilations: Ints) -> Tensor:
    """Pad for a maximum over windows that all hold the edge as well: it then decides nothing."""
    short = all(max(side) < k for side, k in zip(sides, kernel, strict=True))
    if not short or any(d != 1 for d in dilations):
        raise Unsupported("MaxPool with windows of padding alone, or dilated and padded unevenly")
    return F.pad(x, [amount for side in reversed(sides) for amount in side], mode="replicate")


def average_pool(
    x: Tensor,
    *,
    kernel_shape: Ints,
    strides: Ints | None = None,
    pads: Ints | None = None,
    dilations: Ints | None = None,
    ceil_mode: int = 0,
    count_include_pad: int = 0,
    auto_pad: str = "NOTSET",
) -> Tensor:
    """AveragePool; padding counts as zeros or not at all."""
    n = _axes(x)
    strides = list(strides or [1] * n)
    if any(d != 1 for d in dilations or ()):
        raise Unsupported("AveragePool with dilations")
    sides = _sides(x, kernel_shape, strides, [1] * n, pads, auto_pad)
    rest: tuple[Any, ...] = (list(kernel_shape), strides)
    pool = _AVG_POOL[n - 1]
    if _symmetric(sides, kernel_shape):
        padding = [begin for begin, _ in sides]
        return pool(x, *rest, padding, bool(ceil_mode), bool(count_include_pad))
    mean = pool(_pad(x, sides, 0.0), *rest, 0, bool(ceil_mode))
    if count_include_pad:
        return mean
    share = pool(_pad(x.new_ones(1, 1, *x.shape[2:]), sides, 0.0), *rest, 0, bool(ceil_mode))
    return mean / share


def global_average_pool(x: Tensor) -> Tensor:
    """GlobalAveragePool: spatial axes of size one remain."""
    return x.mean(tuple(range(2, x.dim())), keepdim=True)


def global_max_pool(x: Tensor) -> Tensor:
    """GlobalMaxPool: spatial axes of size one remain."""
    return x.amax(tuple(range(2, x.dim())), keepdim=True)
