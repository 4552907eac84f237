"""ONNX operators that act on every number, in torch. Arguments: inputs first, then attributes."""

import functools

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import has_torch_function_unary

from saddlepoint.core.errors import Unsupported

__all__ = [
    "cast",
    "clip",
    "div",
    "elu",
    "gelu",
    "hard_sigmoid",
    "hard_swish",
    "leaky_relu",
    "log_softmax",
    "log_softmax_flat",
    "maximum",
    "minimum",
    "mod",
    "power",
    "prelu",
    "softmax",
    "softmax_flat",
    "total",
]

_DTYPES = {
    1: torch.float32,
    2: torch.uint8,
    3: torch.int8,
    6: torch.int32,
    7: torch.int64,
    9: torch.bool,
    10: torch.float16,
    11: torch.float64,
    16: torch.bfloat16,
}  # numbers of onnx.TensorProto


def cast(x: Tensor, *, to: int, saturate: int = 1) -> Tensor:
    """Cast: x as another type."""
    if to not in _DTYPES:
        raise Unsupported(f"Cast to ONNX type {to}")
    return x.to(_DTYPES[to])


def clip(x: Tensor, min: Tensor | None = None, max: Tensor | None = None) -> Tensor:
    """Clip: limits are attributes before opset 11, inputs after; ``max`` wins."""
    return x if min is None and max is None else torch.clamp(x, min, max)


def div(a: Tensor, b: Tensor) -> Tensor:
    """Div: whole numbers are divided towards zero."""
    if a.is_floating_point():
        return a / b
    return torch.div(a, b, rounding_mode="trunc")


def mod(a: Tensor, b: Tensor, *, fmod: int = 0) -> Tensor:
    """Mod: with the sign of the divisor, or of the dividend when ``fmod``."""
    return torch.fmod(a, b) if fmod else torch.remainder(a, b)


def power(a: Tensor, b: Tensor) -> Tensor:
    """Pow: the result has the type of the base; a constant exponent keeps the gradient finite."""
    if b.numel() == 1 and not b.requires_grad:
        return torch.pow(a, b.item()).to(a.dtype)
    return torch.pow(a, b).to(a.dtype)


def elu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """Elu."""
    return F.elu(x, alpha)


def gelu(x: Tensor, *, approximate: str = "none") -> Tensor:
    """Gelu, exact or with tanh."""
    return F.gelu(x, approximate=approximate)


def hard_sigmoid(x: Tensor, *, alpha: float = 0.2, beta: float = 0.5) -> Tensor:
    """HardSigmoid: max(0, min(1, alpha x + beta))."""
    return (alpha * x + beta).clamp(0, 1)


def hard_swish(x: Tensor) -> Tensor:
    """HardSwish: x max(0, min(1, x / 6 + 1 / 2))."""
    if has_torch_function_unary(x):  # who records operators knows no products of two of them
        return F.hardswish(x)
    return x * (x / 6 + 0.5).clamp(0, 1)


def leaky_relu(x: Tensor, *, alpha: float = 0.01) -> Tensor:
    """LeakyRelu."""
    return F.leaky_relu(x, alpha)


def prelu(x: Tensor, slope: Tensor) -> Tensor:
    """PRelu: slope broadcasts to x from the right."""
    if has_torch_function_unary(x):  # who records operators knows no comparisons
        return slope * x + (1 - slope) * torch.relu(x)
    return torch.where(x < 0, slope * x, x)


def softmax(x: Tensor, *, axis: int = -1) -> Tensor:
    """Softmax along one axis (from opset 13)."""
    return x.softmax(axis)


def log_softmax(x: Tensor, *, axis: int = -1) -> Tensor:
    """LogSoftmax along one axis (from opset 13)."""
    return x.log_softmax(axis)


def softmax_flat(x: Tensor, *, axis: int = 1) -> Tensor:
    """Softmax over all axes from ``axis`` on (before opset 13)."""
    return x.flatten(axis).softmax(-1).reshape(x.shape)


def log_softmax_flat(x: Tensor, *, axis: int = 1) -> Tensor:
    """LogSoftmax over all axes from ``axis`` on (before opset 13)."""
    return x.flatten(axis).log_softmax(-1).reshape(x.shape)


def maximum(*xs: Tensor) -> Tensor:
    """Max of any number of inputs."""
    return functools.reduce(torch.maximum, xs)


def minimum(*xs: Tensor) -> Tensor:
    """Min of any number of inputs."""
    return functools.reduce(torch.minimum, xs)


def total(*xs: Tensor) -> Tensor:
    """Sum of any number of inputs."""
    return functools.reduce(torch.add, xs)
