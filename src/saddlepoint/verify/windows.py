"""Convolutions and poolings of traced tensors, as operators."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from saddlepoint.core.errors import Unsupported
from saddlepoint.verify.arithmetic import largest
from saddlepoint.verify.layouts import sifted
from saddlepoint.verify.operators.linear import Convolution, TransposedConvolution
from saddlepoint.verify.operators.rearrange import Sift
from saddlepoint.verify.tracing import Traced

__all__ = ["HANDLERS"]


def _each(value: Any, n: int) -> tuple[int, ...]:  # noqa: ANN401
    """One number for every axis."""
    values = tuple(value) if isinstance(value, Sequence) else (value,)
    return values * n if len(values) == 1 else values


def _conv(
    x: Traced,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,  # noqa: ANN401
    padding: Any = 0,  # noqa: ANN401
    dilation: Any = 1,  # noqa: ANN401
    groups: int = 1,
) -> Traced:
    n = weight.dim() - 2
    if x.dim() != n + 2:
        raise Unsupported(f"a convolution over an input of rank {x.dim()}")
    dilation = _each(dilation, n)
    if isinstance(padding, str):
        total = [0] * n
        if padding == "same":
            total = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
        sides = [(t // 2, t - t // 2) for t in reversed(total)]
        x, padding = sifted(F.pad)(x, tuple(itertools.chain.from_iterable(sides))), 0
    how = (_each(stride, n), _each(padding, n), dilation)
    return x.tape.add(Convolution(weight, bias, *how, groups), x)


def _conv_transpose(
    x: Traced,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,  # noqa: ANN401
    padding: Any = 0,  # noqa: ANN401
    output_padding: Any = 0,  # noqa: ANN401
    groups: int = 1,
    dilation: Any = 1,  # noqa: ANN401
) -> Traced:
    n = weight.dim() - 2
    how = (_each(stride, n), _each(padding, n), _each(output_padding, n), _each(dilation, n))
    return x.tape.add(TransposedConvolution(weight, bias, *how, groups), x)


def _max_pool(n: int) -> Callable[..., Traced]:
    """Maximum over windows in n dimensions, axis by axis and pair by pair."""

    def handle(
        x: Traced,
        kernel_size: Any,  # noqa: ANN401
        stride: Any = None,  # noqa: ANN401
        padding: Any = 0,  # noqa: ANN401
        dilation: Any = 1,  # noqa: ANN401
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Traced:
        if return_indices:
            raise Unsupported("max pooling that returns indices")
        kernel = _each(kernel_size, n)
        options = (
            kernel,
            kernel if stride is None or stride == [] else _each(stride, n),
            _each(padding, n),
            _each(dilation, n),
        )
        for axis, option in enumerate(zip(*options, strict=True), x.dim() - n):
            x = _largest_of(x, axis, _windows(x.shape[axis], *option, ceil_mode))
        return x

    return handle


def _windows(
    size: int, kernel: int, stride: int, pad: int, dilation: int, ceil: bool
) -> list[list[int]]:
    """Places on an axis that every window of a pooling covers; padding covers none."""
    room = size + 2 * pad - dilation * (kernel - 1) - 1
    count = (-(-room // stride) if ceil else room // stride) + 1
    if ceil and (count - 1) * stride >= size + pad:
        count -= 1  # windows begin inside, as torch has it
    begins = (i * stride - pad for i in range(count))
    return [[p for p in range(b, b + dilation * kernel, dilation) if 0 <= p < size] for b in begins]


def _largest_of(x: Traced, axis: int, windows: list[list[int]]) -> Traced:
    """Maximum over given places of one axis; a window with fewer of them repeats its last."""
    if not all(windows):
        raise Unsupported("max pooling over a window that holds nothing but padding")
    best: Traced | None = None
    for k in range(max(map(len, windows))):
        cells = torch.tensor([window[min(k, len(window) - 1)] for window in windows])
        part = sifted(torch.index_select)(x, axis, cells.to(x.device))
        best = part if best is None else largest(best, part)
    if best is None:
        raise Unsupported("max pooling without windows")
    return best


def _adaptive_max(n: int) -> Callable[..., Traced]:
    def handle(x: Traced, output_size: Any, return_indices: bool = False) -> Traced:  # noqa: ANN401
        if return_indices:
            raise Unsupported("max pooling that returns indices")
        for axis, out in enumerate(_each(output_size, n), x.dim() - n):
            size = x.shape[axis]
            out = size if out is None else out
            ends = [(i * size // out, -(-(i + 1) * size // out)) for i in range(out)]
            x = _largest_of(x, axis, [list(range(*pair)) for pair in ends])
        return x

    return handle


def _average(function: Callable[..., Tensor]) -> Callable[..., Traced]:
    def handle(x: Traced, *args: Any, **kwargs: Any) -> Traced:  # noqa: ANN401
        return x.tape.add(Sift(lambda t: function(t, *args, **kwargs)), x)

    return handle


_AVERAGES: tuple[Callable[..., Tensor], ...] = (
    F.avg_pool1d,
    F.avg_pool2d,
    F.avg_pool3d,
    F.adaptive_avg_pool1d,
    F.adaptive_avg_pool2d,
    F.adaptive_avg_pool3d,
)

HANDLERS: dict[Any, Callable[..., Any]] = {
    **dict.fromkeys((F.conv1d, F.conv2d, F.conv3d), _conv),
    **dict.fromkeys((F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d), _conv_transpose),
    **dict.fromkeys((F.max_pool1d, torch.max_pool1d), _max_pool(1)),
    **dict.fromkeys((F.max_pool2d, torch.max_pool2d), _max_pool(2)),
    **dict.fromkeys((F.max_pool3d, torch.max_pool3d), _max_pool(3)),
    F.adaptive_max_pool1d: _adaptive_max(1),
    F.adaptive_max_pool2d: _adaptive_max(2),
    F.adaptive_max_pool3d: _adaptive_max(3),
    **{f: _average(f) for f in _AVERAGES},
}
