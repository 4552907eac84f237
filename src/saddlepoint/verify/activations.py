"""Functions of one element of traced tensors, as operators."""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from saddlepoint.core.errors import Unsupported
from saddlepoint.verify import arithmetic
from saddlepoint.verify.operators import smooth
from saddlepoint.verify.operators.leak import Leak
from saddlepoint.verify.operators.operator import Operator
from saddlepoint.verify.operators.piecewise import Bend, Clip
from saddlepoint.verify.tracing import Traced

__all__ = ["HANDLERS", "IN_PLACE"]

Handler = Callable[..., Traced]


def element(op: Operator) -> Handler:
    """Handle a function of each element that has no options."""

    def handle(x: Traced) -> Traced:
        return x.tape.add(op, x)

    return handle


def _optional(handler: Handler) -> Handler:
    """Handle the option ``inplace`` of a function, the last one where it is not named."""

    def handle(x: Traced, *args: Any, inplace: bool = False, **kwargs: Any) -> Traced:  # noqa: ANN401
        if args and isinstance(args[-1], bool):
            *rest, inplace = args
            args = tuple(rest)
        result = handler(x, *args, **kwargs)
        return x.overwrite(result) if inplace else result

    return handle


def _leaky(x: Traced, negative_slope: float = 0.01) -> Traced:
    """Leaky ReLU; with a slope above 1 it is not convex: s z + (1 - s) relu(z) then."""
    slope = float(negative_slope)
    if slope < 1:
        return x.tape.add(Bend(slope, 1.0), x)
    return _leak(x, torch.tensor(slope, dtype=x.dtype, device=x.device))


def _leak(x: Traced, weight: Tensor) -> Traced:
    rank = max(0, x.dim() - 2) if weight.numel() > 1 else 0
    return x.tape.add(Leak(weight, rank), x, x.tape.add(Bend(), x))


def _rrelu(x: Traced, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False) -> Traced:
    if training:
        raise Unsupported("randomised leaky ReLU in training mode: call model.eval() first")
    return _leaky(x, (lower + upper) / 2)


def _clamp(x: Traced, min: Any = None, max: Any = None) -> Traced:  # noqa: ANN401
    least, most = _number(min, -torch.inf), _number(max, torch.inf)
    # torch: the upper limit wins where the limits cross.
    return x.tape.add(Clip(least if least < most else most, most), x)


def _clamp_below(x: Traced, min: Any) -> Traced:  # noqa: ANN401
    return _clamp(x, min)


def _clamp_above(x: Traced, max: Any) -> Traced:  # noqa: ANN401
    return _clamp(x, None, max)


def _hardtanh(x: Traced, min_val: float = -1.0, max_val: float = 1.0) -> Traced:
    return _clamp(x, min_val, max_val)


def _threshold(x: Traced, threshold: float, value: float) -> Traced:
    if threshold != value:
        raise Unsupported("a threshold that makes a jump: its value must equal the threshold")
    return _clamp(x, threshold)


def _number(value: Any, default: float) -> float:  # noqa: ANN401
    if value is None:
        return default
    if isinstance(value, Traced) or (isinstance(value, Tensor) and value.numel() != 1):
        raise Unsupported("clamp with limits that differ by element")
    return float(value)


def _hardsigmoid(x: Traced) -> Traced:
    shifted = arithmetic.add(arithmetic.multiply(x, 1 / 6), 0.5)
    return x.tape.add(Clip(0.0, 1.0), shifted)


def _gelu(x: Traced, approximate: str = "none") -> Traced:
    return x.tape.add(smooth.GELU if approximate == "none" else smooth.TANH_GELU, x)


def _softplus(x: Traced, beta: float = 1.0, threshold: float = 20.0) -> Traced:
    """log(1 + exp(beta z)) / beta; torch leaves z beyond ``threshold`` as it is."""
    if threshold < 20 or beta <= 0:
        raise Unsupported(f"softplus with beta = {beta:g} and threshold = {threshold:g}")
    if beta == 1:
        return x.tape.add(smooth.SOFTPLUS, x)
    return arithmetic.multiply(_softplus(arithmetic.multiply(x, beta)), 1 / beta)


def _log_sigmoid(x: Traced) -> Traced:
    return arithmetic.negative(_softplus(arithmetic.negative(x)))


def _elu(x: Traced, alpha: float = 1.0) -> Traced:
    return x.tape.add(smooth.elu(float(alpha)), x)


def _celu(x: Traced, alpha: float = 1.0) -> Traced:
    """Alpha ELU(z / alpha)."""
    return arithmetic.multiply(_elu(arithmetic.multiply(x, 1 / alpha)), alpha)


_SELU = (1.6732632423543772, 1.0507009873554805)  # alpha and scale, 1706.02515


def _selu(x: Traced) -> Traced:
    return arithmetic.multiply(_elu(x, _SELU[0]), _SELU[1])


def _power(x: Traced, exponent: Any) -> Traced:  # noqa: ANN401
    if isinstance(exponent, Tensor) or exponent not in (1, 2):
        raise Unsupported("powers other than the square")
    return x if exponent == 1 else x.tape.add(smooth.SQUARE, x)


def _softmax(function: Callable[..., Tensor]) -> Handler:
    """Handle what can only come last: it keeps the order of the scores."""

    def handle(
        x: Traced, dim: int | None = None, _stacklevel: int = 3, dtype: torch.dtype | None = None
    ) -> Traced:
        if x.dim() != 2 or dim not in (None, 1, -1) or dtype not in (None, x.dtype):
            raise Unsupported("softmax anywhere but over the scores of the classes")
        return Traced.of(x.tape, x.node, functools.partial(function, dim=1))

    return handle


# The plain functions that take ``inplace`` as well, by the torch functions they stand for.
_OPTIONAL: dict[Any, Handler] = {
    F.relu: element(Bend()),
    F.leaky_relu: _leaky,
    F.rrelu: _rrelu,
    F.threshold: _threshold,
    F.hardtanh: _hardtanh,
    F.relu6: element(Clip(0.0, 6.0)),
    F.hardsigmoid: _hardsigmoid,
    F.hardswish: element(smooth.HARDSWISH),
    F.mish: element(smooth.MISH),
    F.silu: element(smooth.SILU),
    F.elu: _elu,
    F.celu: _celu,
    F.selu: _selu,
}

HANDLERS: dict[Any, Handler] = {
    **{function: _optional(handler) for function, handler in _OPTIONAL.items()},
    **dict.fromkeys((torch.relu, Tensor.relu), element(Bend())),
    **dict.fromkeys((torch.abs, Tensor.abs, torch.absolute, Tensor.__abs__), element(Bend(-1.0))),
    **dict.fromkeys((torch.sigmoid, Tensor.sigmoid, torch.special.expit), element(smooth.SIGMOID)),
    **dict.fromkeys((torch.tanh, Tensor.tanh), element(smooth.TANH)),
    **dict.fromkeys((torch.erf, Tensor.erf), element(smooth.ERF)),
    **dict.fromkeys((torch.square, Tensor.square), element(smooth.SQUARE)),
    **dict.fromkeys((torch.pow, Tensor.pow, Tensor.__pow__, torch._C.TensorBase.pow), _power),
    **dict.fromkeys((torch.clamp, torch.clip, Tensor.clamp, Tensor.clip), _clamp),
    **dict.fromkeys((torch.clamp_min, Tensor.clamp_min), _clamp_below),
    **dict.fromkeys((torch.clamp_max, Tensor.clamp_max), _clamp_above),
    **dict.fromkeys((torch.prelu, Tensor.prelu), _leak),
    **dict.fromkeys((F.softmax, torch.softmax, Tensor.softmax), _softmax(torch.softmax)),
    **dict.fromkeys(
        (F.log_softmax, torch.log_softmax, Tensor.log_softmax), _softmax(torch.log_softmax)
    ),
    torch.selu: _selu,
    torch.celu: _celu,
    F.softsign: element(smooth.SOFTSIGN),
    F.gelu: _gelu,
    F.softplus: _softplus,
    F.logsigmoid: _log_sigmoid,
}

# Functions whose name ends in _: they write to their first argument.
IN_PLACE: dict[Any, Handler] = {
    **dict.fromkeys((torch.relu_, Tensor.relu_), element(Bend())),
    **dict.fromkeys((torch.abs_, Tensor.abs_), element(Bend(-1.0))),
    **dict.fromkeys((torch.sigmoid_, Tensor.sigmoid_), element(smooth.SIGMOID)),
    **dict.fromkeys((torch.tanh_, Tensor.tanh_), element(smooth.TANH)),
    **dict.fromkeys((torch.clamp_, Tensor.clamp_, torch.clip_, Tensor.clip_), _clamp),
    **dict.fromkeys((torch.clamp_min_, Tensor.clamp_min_), _clamp_below),
    **dict.fromkeys((torch.clamp_max_, Tensor.clamp_max_), _clamp_above),
    F.leaky_relu_: _leaky,
    F.hardtanh_: _hardtanh,
    F.elu_: _elu,
    torch.selu_: _selu,
}
