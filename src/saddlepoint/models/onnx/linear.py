"""ONNX operators that sum: matrix products, normalisations, reductions. Inputs, then attributes."""

import torch
from torch import Tensor
from torch.nn import functional as F

from saddlepoint.core.errors import Unsupported
from saddlepoint.models.onnx.layout import Ints, ints

__all__ = [
    "batch_norm",
    "gemm",
    "instance_norm",
    "layer_norm",
    "reduce_max",
    "reduce_mean",
    "reduce_min",
    "reduce_sum",
]


def gemm(
    a: Tensor,
    b: Tensor,
    c: Tensor | None = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,
    transB: int = 0,
) -> Tensor:
    """Gemm: alpha A' B' + beta C, with either matrix transposed on demand."""
    if alpha == beta == 1 and transB and not transA and (c is None or c.dim() == 1):
        return F.linear(a, b, c)
    product = (a.T if transA else a) @ (b.T if transB else b)
    product = product if alpha == 1 else alpha * product
    return product if c is None else product + (c if beta == 1 else beta * c)


def batch_norm(
    x: Tensor,
    scale: Tensor,
    b: Tensor,
    mean: Tensor,
    var: Tensor,
    *,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    training_mode: int = 0,
    spatial: int = 1,
) -> Tensor:
    """BatchNormalization with fixed statistics, one per channel."""
    if training_mode or not spatial:
        raise Unsupported("BatchNormalization in training mode, or per position")
    return F.batch_norm(x, mean, var, scale, b, training=False, eps=epsilon)


def instance_norm(x: Tensor, scale: Tensor, b: Tensor, *, epsilon: float = 1e-5) -> Tensor:
    """InstanceNormalization over the spatial axes."""
    return F.instance_norm(x, weight=scale, bias=b, eps=epsilon)


def layer_norm(
    x: Tensor,
    scale: Tensor,
    b: Tensor | None = None,
    *,
    axis: int = -1,
    epsilon: float = 1e-5,
    stash_type: int = 1,
) -> Tensor:
    """LayerNormalization over the axes from ``axis`` on; scale and bias broadcast."""
    scaled = F.layer_norm(x, x.shape[axis:], eps=epsilon) * scale
    return scaled if b is None else scaled + b


def _reduced(x: Tensor, axes: Ints | None, noop: int) -> tuple[int, ...]:
    """Return the axes to reduce: all when none are named, unless that means to do nothing."""
    named = [] if axes is None else ints(axes)
    return tuple(named) if named or noop else tuple(range(x.dim()))


def reduce_mean(
    x: Tensor, axes: Ints | None = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> Tensor:
    """ReduceMean: axes are an attribute before opset 18, an input after."""
    along = _reduced(x, axes, noop_with_empty_axes)
    return x.mean(along, keepdim=bool(keepdims)) if along else x


def reduce_sum(
    x: Tensor, axes: Ints | None = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> Tensor:
    """ReduceSum: axes are an attribute before opset 13, an input after."""
    along = _reduced(x, axes, noop_with_empty_axes)
    return x.sum(along, keepdim=bool(keepdims)) if along else x


def reduce_max(
    x: Tensor, axes: Ints | None = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> Tensor:
    """ReduceMax; the gradient is shared among equal maxima."""
    along = _reduced(x, axes, noop_with_empty_axes)
    return torch.amax(x, along, keepdim=bool(keepdims)) if along else x


def reduce_min(
    x: Tensor, axes: Ints | None = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> Tensor:
    """ReduceMin; the gradient is shared among equal minima."""
    along = _reduced(x, axes, noop_with_empty_axes)
    return torch.amin(x, along, keepdim=bool(keepdims)) if along else x
