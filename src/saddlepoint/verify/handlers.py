"""Which operator stands for which torch function; shapes and constants are worked out here."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from saddlepoint.core.errors import Unsupported
from saddlepoint.verify import arithmetic, layouts, windows
from saddlepoint.verify.operators.linear import Matrix
from saddlepoint.verify.operators.operator import Operator
from saddlepoint.verify.operators.piecewise import Bend, Clip
from saddlepoint.verify.operators.smooth import (
    ELU,
    GELU,
    SIGMOID,
    SILU,
    SOFTPLUS,
    TANH,
    TANH_GELU,
)
from saddlepoint.verify.tracing import Traced

__all__ = ["HANDLERS", "QUESTIONS"]

Handler = Callable[..., Traced]

# What may be asked of a traced tensor without being recorded: all but its numbers.
QUESTIONS: frozenset[Any] = frozenset(
    {
        Tensor.shape.__get__,  # type: ignore[attr-defined]
        Tensor.dtype.__get__,  # type: ignore[attr-defined]
        Tensor.device.__get__,
        Tensor.ndim.__get__,  # type: ignore[attr-defined]
        Tensor.layout.__get__,  # type: ignore[attr-defined]
        Tensor.requires_grad.__get__,  # type: ignore[attr-defined]
        Tensor.is_cuda.__get__,  # type: ignore[attr-defined]
        Tensor.grad_fn.__get__,  # type: ignore[union-attr]
        Tensor.is_sparse.__get__,  # type: ignore[attr-defined]
        Tensor.is_quantized.__get__,  # type: ignore[attr-defined]
        Tensor.size,
        Tensor.dim,
        Tensor.numel,
        Tensor.nelement,
        Tensor.is_floating_point,
        Tensor.is_complex,
        Tensor.is_contiguous,
        Tensor.stride,
        Tensor.__len__,
        Tensor.element_size,
        torch.is_floating_point,
        torch.is_complex,
        torch.numel,
    }
)


def _in_place(x: Traced, result: Traced) -> Traced:
    """The tensor that was written to stands for the result from here on."""
    x.node = result.node
    return result


def element(op: Operator) -> Handler:
    """Handle a function of each element that has no options."""

    def handle(x: Traced, inplace: bool = False, **_: Any) -> Traced:  # noqa: ANN401
        result = x.tape.add(op, x)
        return _in_place(x, result) if inplace else result

    return handle


def _relu_(x: Traced) -> Traced:
    return _in_place(x, x.tape.add(Bend(), x))


def _leaky(x: Traced, negative_slope: float = 0.01, inplace: bool = False) -> Traced:
    return element(bend(float(negative_slope)))(x, inplace)


def bend(left: float) -> Operator:
    """Leaky ReLU of slope ``left``; a slope above 1 is not convex."""
    if not left < 1:
        raise Unsupported(f"leaky ReLU with slope {left:g}: bounds need a slope below 1")
    return Bend(left, 1.0)


def _clamp(
    x: Traced,
    min: Any = None,  # noqa: ANN401
    max: Any = None,  # noqa: ANN401
    inplace: bool = False,
) -> Traced:
    return element(Clip(_number(min, -torch.inf), _number(max, torch.inf)))(x, inplace)


def _hardtanh(
    x: Traced, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Traced:
    return element(Clip(float(min_val), float(max_val)))(x, inplace)


def _relu6(x: Traced, inplace: bool = False) -> Traced:
    return element(Clip(0.0, 6.0))(x, inplace)


def _number(value: Any, default: float) -> float:  # noqa: ANN401
    if value is None:
        return default
    if isinstance(value, Traced) or (isinstance(value, Tensor) and value.numel() != 1):
        raise Unsupported("clamp with limits that differ by element")
    return float(value)


def _hardsigmoid(x: Traced, inplace: bool = False) -> Traced:
    shifted = arithmetic.add(arithmetic.multiply(x, 1 / 6), 0.5)
    return element(Clip(0.0, 1.0))(shifted)


def _prelu(x: Traced, weight: Tensor) -> Traced:
    """w z + (1 - w) relu(z), for any w."""
    if weight.numel() == 1:
        return element(bend(float(weight)))(x)
    w = weight.reshape(-1, *[1] * (x.dim() - 2))
    positive = x.tape.add(Bend(), x)
    return arithmetic.add(arithmetic.multiply(x, w), arithmetic.multiply(positive, 1 - w))


def _gelu(x: Traced, approximate: str = "none") -> Traced:
    return x.tape.add(GELU if approximate == "none" else TANH_GELU, x)


def _softplus(x: Traced, beta: float = 1.0, threshold: float = 20.0) -> Traced:
    if beta != 1:
        raise Unsupported(f"softplus with beta = {beta:g}; 1 is supported")
    return x.tape.add(SOFTPLUS, x)


def _elu(x: Traced, alpha: float = 1.0, inplace: bool = False) -> Traced:
    if alpha != 1:
        raise Unsupported(f"ELU with alpha = {alpha:g}; 1 is supported")
    return element(ELU)(x, inplace)


def _linear(x: Traced, weight: Tensor, bias: Tensor | None = None) -> Traced:
    if isinstance(weight, Traced) or isinstance(bias, Traced):
        raise Unsupported("a matrix product of two tensors that both depend on the input")
    return x.tape.add(Matrix(weight, bias), x)


def _dropout(x: Traced, p: float = 0.5, training: bool = False, inplace: bool = False) -> Traced:
    if training and p > 0:
        raise Unsupported("dropout in training mode: call model.eval() first")
    return x


def _same(x: Traced, *_: Any, **__: Any) -> Traced:  # noqa: ANN401
    return x


_ELEMENTS: dict[Any, Handler] = {
    **dict.fromkeys((torch.relu, F.relu, Tensor.relu), element(Bend())),
    **dict.fromkeys((torch.relu_, Tensor.relu_, F.relu_), _relu_),
    **dict.fromkeys((torch.abs, Tensor.abs, Tensor.__abs__), element(Bend(-1.0, 1.0))),
    **dict.fromkeys((torch.sigmoid, Tensor.sigmoid, F.sigmoid), element(SIGMOID)),
    **dict.fromkeys((torch.tanh, Tensor.tanh, F.tanh), element(TANH)),
    **dict.fromkeys((torch.clamp, torch.clip, Tensor.clamp, Tensor.clip), _clamp),
    **dict.fromkeys((torch.prelu, F.prelu), _prelu),
    F.leaky_relu: _leaky,
    F.hardtanh: _hardtanh,
    F.relu6: _relu6,
    F.hardsigmoid: _hardsigmoid,
    F.silu: element(SILU),
    F.gelu: _gelu,
    F.softplus: _softplus,
    F.elu: _elu,
    F.linear: _linear,
}

_NOTHING: dict[Any, Handler] = {
    **dict.fromkeys((F.dropout, F.dropout2d, F.dropout3d, F.alpha_dropout), _dropout),
    **dict.fromkeys(
        (Tensor.contiguous, Tensor.detach, Tensor.clone, Tensor.float, Tensor.to, torch.clone),
        _same,
    ),
}

HANDLERS: dict[Any, Callable[..., Any]] = {
    **_ELEMENTS,
    **_NOTHING,
    **arithmetic.HANDLERS,
    **layouts.HANDLERS,
    **windows.HANDLERS,
}
