"""Sums, products and maxima of traced tensors and constants, as operators."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from saddlepoint.core.errors import Unsupported
from saddlepoint.verify.operators.affine import Add, BatchNorm, Scale, Subtract
from saddlepoint.verify.operators.linear import Matrix
from saddlepoint.verify.operators.maximum import Larger
from saddlepoint.verify.operators.piecewise import Bend
from saddlepoint.verify.operators.product import Product
from saddlepoint.verify.operators.rearrange import Sift
from saddlepoint.verify.operators.smooth import SQUARE
from saddlepoint.verify.tracing import Traced

__all__ = ["HANDLERS", "IN_PLACE", "add", "largest", "multiply", "negative", "smallest"]


def _spread(x: Traced, shape: Sequence[int]) -> Traced:
    """Broadcast x to the shape of a batch, where it has another."""
    if tuple(x.shape) == tuple(shape):
        return x
    if x.dim() != len(shape) or shape[0] != x.shape[0]:
        raise Unsupported(f"an operator that broadcasts {tuple(x.shape)} to {tuple(shape)}")
    one = tuple(shape[1:])
    return x.tape.add(Sift(lambda t: t.expand(-1, *one)), x)


def _constant(value: Any, x: Traced) -> Tensor:  # noqa: ANN401
    """Return a constant as it broadcasts to one sample of x, without an axis of samples."""
    if not isinstance(value, Tensor):
        return torch.tensor(float(value), dtype=x.dtype, device=x.device)
    if value.dim() == x.dim():
        if len(value) > 1 and bool((value != value[:1]).any()):
            raise Unsupported("an operator that adds or multiplies other numbers for each sample")
        return value[0]
    return value


def _both(x: Any, y: Any) -> tuple[Any, Any]:  # noqa: ANN401
    """Broadcast the traced ones of two operands to their common shape."""
    shape = torch.broadcast_shapes(  # type: ignore[no-untyped-call]
        getattr(x, "shape", ()), getattr(y, "shape", ())
    )
    first, second = (_spread(t, shape) if isinstance(t, Traced) else t for t in (x, y))
    return first, second


def _traced_first(x: Any, y: Any) -> tuple[Traced, Any]:  # noqa: ANN401
    return (x, y) if isinstance(x, Traced) else (y, x)


def add(x: Any, y: Any, *, alpha: float = 1) -> Traced:  # noqa: ANN401
    """x + alpha y."""
    x, y = _both(x, y)
    if alpha != 1:
        y = multiply(y, alpha) if isinstance(y, Traced) else alpha * y
    if isinstance(x, Traced) and isinstance(y, Traced):
        return x.tape.add(Add(), x, y)
    t, c = _traced_first(x, y)
    return t.tape.add(Scale(None, _constant(c, t)), t)


def subtract(x: Any, y: Any, *, alpha: float = 1) -> Traced:  # noqa: ANN401
    """x - alpha y."""
    if alpha != 1:
        y = multiply(y, alpha) if isinstance(y, Traced) else alpha * y
    x, y = _both(x, y)
    if isinstance(x, Traced) and isinstance(y, Traced):
        return x.tape.add(Subtract(), x, y)
    return add(x, -y) if isinstance(x, Traced) else add(multiply(y, -1.0), x)


def multiply(x: Any, y: Any) -> Traced:  # noqa: ANN401
    """x y, one of them constant, or x x."""
    if isinstance(x, Traced) and x is y:
        return x.tape.add(SQUARE, x)
    x, y = _both(x, y)
    if isinstance(x, Traced) and isinstance(y, Traced):
        raise Unsupported("a product of two tensors that both depend on the input")
    t, c = _traced_first(x, y)
    return t.tape.add(Scale(_constant(c, t)), t)


def _divide(x: Any, y: Any, *, rounding_mode: str | None = None) -> Traced:  # noqa: ANN401
    if isinstance(y, Traced) or rounding_mode is not None:
        raise Unsupported("a division by a tensor that depends on the input, or a rounded one")
    return multiply(x, 1 / y)


def negative(x: Traced) -> Traced:
    """-x."""
    return multiply(x, -1.0)


def largest(x: Any, y: Any) -> Traced:  # noqa: ANN401
    """max(x, y) = y + relu(x - y); of constants or traced tensors."""
    x, y = _both(x, y)
    if not (isinstance(x, Traced) and isinstance(y, Traced)):
        t, c = _traced_first(x, y)
        return add(t.tape.add(Bend(), subtract(t, c)), c)
    rest = x.tape.add(Bend(), subtract(x, y))
    return x.tape.add(Larger(), x, y, rest)


def smallest(x: Any, y: Any) -> Traced:  # noqa: ANN401
    """-max(-x, -y)."""
    minus = [negative(t) if isinstance(t, Traced) else -t for t in (x, y)]
    return negative(largest(*minus))


def _slices(x: Traced, axis: int) -> list[Traced]:
    """Cut one axis into its places."""

    def place(i: int) -> Callable[[Tensor], Tensor]:
        return lambda t: t.select(axis, i)

    return [x.tape.add(Sift(place(i)), x) for i in range(x.shape[axis])]


def _reduce_largest(x: Traced, dim: Any = None, keepdim: bool = False) -> Traced:  # noqa: ANN401
    """Maximum over axes, pair by pair in a tree."""
    if dim is None or dim == ():
        raise Unsupported("a maximum over the whole batch")
    axes = sorted({d % x.dim() for d in ((dim,) if isinstance(dim, int) else dim)}, reverse=True)
    if 0 in axes:
        raise Unsupported("a maximum over samples")
    for axis in axes:
        parts = _slices(x, axis)
        while len(parts) > 1:
            pairs = [largest(a, b) for a, b in zip(parts[::2], parts[1::2], strict=False)]
            parts = pairs + parts[len(pairs) * 2 :]
        x = parts[0]
        if keepdim:
            x = x.tape.add(Sift(functools.partial(torch.unsqueeze, dim=axis)), x)
    return x


def _batch_norm(
    x: Traced,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Traced:
    if training or running_mean is None or running_var is None:
        hint = "call model.eval() first" if training else "it needs running statistics"
        raise Unsupported(f"batch norm with statistics of the batch: {hint}")
    rank = x.dim() - 2
    return x.tape.add(BatchNorm(weight, bias, running_mean, running_var, eps, rank), x)


def _linear(x: Traced, weight: Tensor, bias: Tensor | None = None) -> Traced:
    if isinstance(weight, Traced) or isinstance(bias, Traced) or not isinstance(x, Traced):
        raise Unsupported("a layer whose weights depend on the input")
    return x.tape.add(Matrix(weight, bias), x)


def _product(x: Any, y: Any) -> Traced:  # noqa: ANN401
    """x @ W, or W @ x where each sample of x is a matrix."""
    if isinstance(x, Traced) and isinstance(y, Traced):
        raise Unsupported("a matrix product of two tensors that both depend on the input")
    if isinstance(x, Traced):
        if y.dim() == 1:
            return x.tape.add(Sift(lambda t: t.squeeze(-1)), _product(x, y[:, None]))
        if y.dim() != 2:
            raise Unsupported("a matrix product by a constant that is no matrix")
        return x.tape.add(Matrix(y, turned=True), x)
    if x.dim() != 2 or y.dim() < 3:
        raise Unsupported("a matrix product that mixes samples")
    swap, right = Sift(lambda t: t.transpose(-1, -2)), _traced_first(y, x)[0]
    tape = right.tape
    return tape.add(swap, tape.add(Matrix(x), tape.add(swap, right)))


def _einsum(equation: str, *operands: Any) -> Traced:  # noqa: ANN401
    """Sums of products of x and one constant."""
    xs = operands[0] if len(operands) == 1 and not isinstance(operands[0], Tensor) else operands
    at = [i for i, x in enumerate(xs) if isinstance(x, Traced)]
    if len(at) != 1 or len(xs) != 2:
        raise Unsupported(
            "einsum of anything but one tensor that depends on the input, and a constant"
        )
    first = at[0] == 0

    def product(x: Tensor, w: Tensor) -> Tensor:
        return torch.einsum(equation, *((x, w) if first else (w, x)))

    x, w = (xs[0], xs[1]) if first else (xs[1], xs[0])
    return _traced_first(x, w)[0].tape.add(Product(product, w), x)


def _addmm(c: Any, x: Any, y: Any, *, beta: float = 1, alpha: float = 1) -> Traced:  # noqa: ANN401
    product = _product(x, y)
    product = product if alpha == 1 else multiply(product, alpha)
    return add(product, c if beta == 1 else beta * c)


class Extreme(NamedTuple):
    """What torch.max and torch.min return for an axis; bounds know nothing of the places."""

    values: Traced
    indices: None = None


def _extreme(two: Callable[..., Traced], along: Callable[..., Traced]) -> Callable[..., Any]:
    """Handle torch.max or torch.min: of two tensors, or along an axis."""

    def handle(x: Any, *args: Any, **kwargs: Any) -> Traced | Extreme:  # noqa: ANN401
        other = args[0] if args else kwargs.get("other")
        if isinstance(other, Tensor):
            return two(x, other)
        return Extreme(along(x, *args, **kwargs))

    return handle


def _reduce_smallest(x: Traced, dim: Any = None, keepdim: bool = False) -> Traced:  # noqa: ANN401
    return negative(_reduce_largest(negative(x), dim, keepdim))


HANDLERS: dict[Any, Callable[..., Any]] = {
    **dict.fromkeys((torch.add, Tensor.add, Tensor.__add__, Tensor.__radd__), add),
    **dict.fromkeys((torch.sub, torch.subtract, Tensor.sub, Tensor.__sub__), subtract),
    **dict.fromkeys((torch.rsub, Tensor.__rsub__), lambda x, y, alpha=1: subtract(y, x)),
    **dict.fromkeys((torch.mul, torch.multiply, Tensor.mul, Tensor.__mul__), multiply),
    Tensor.__rmul__: multiply,
    **dict.fromkeys((torch.div, torch.true_divide, Tensor.div, Tensor.__truediv__), _divide),
    **dict.fromkeys((torch.neg, torch.negative, Tensor.neg, Tensor.__neg__), negative),
    **dict.fromkeys((torch.maximum, Tensor.maximum), largest),
    **dict.fromkeys((torch.minimum, Tensor.minimum), smallest),
    **dict.fromkeys((torch.max, Tensor.max), _extreme(largest, _reduce_largest)),
    **dict.fromkeys((torch.min, Tensor.min), _extreme(smallest, _reduce_smallest)),
    **dict.fromkeys((torch.amax, Tensor.amax), _reduce_largest),
    **dict.fromkeys((torch.amin, Tensor.amin), _reduce_smallest),
    **dict.fromkeys((torch.matmul, Tensor.matmul, Tensor.__matmul__), _product),
    **dict.fromkeys((torch.mm, Tensor.mm), _product),
    Tensor.__rmatmul__: lambda y, x: _product(x, y),
    torch.addmm: _addmm,
    torch.einsum: _einsum,
    F.linear: _linear,
    **dict.fromkeys((F.batch_norm, torch.batch_norm), _batch_norm),
}

# They write to their first argument; x += y is one of them.
IN_PLACE: dict[Any, Callable[..., Traced]] = {
    Tensor.add_: add,
    Tensor.sub_: subtract,
    Tensor.mul_: multiply,
    Tensor.div_: _divide,
    Tensor.neg_: negative,
}
