"""ONNX operators for a batch of samples where the file's graph is about a single one.

Every value that depends on the input then has one axis more than the file says, in front: axes are
counted from the second on, shapes get a leading entry, and what is broadcast is aligned behind it.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from saddlepoint.core.errors import Unsupported
from saddlepoint.models.onnx.layout import Ints, ints

__all__ = ["lift"]

Function: TypeAlias = Callable[..., Any]
_Inputs: TypeAlias = tuple[Any, ...]
_Attributes: TypeAlias = dict[str, Any]
_Rule: TypeAlias = Callable[[Function, Sequence[bool], _Inputs, _Attributes], Any]


def lift(name: str, function: Function, symbolic: Sequence[bool]) -> Function:
    """Return ``function`` of operator ``name`` for inputs with a batch axis in front.

    ``symbolic`` says which inputs depend on the network's input; the others are constants without
    that axis. Raises ``Unsupported`` for an operator that is not known to be independent per row.

    >>> lift("Concat", lambda *xs, axis: torch.cat(xs, axis), (True, False))(
    ...     torch.zeros(2, 1), torch.ones(3), axis=0
    ... )
    tensor([[0., 1., 1., 1.],
            [0., 1., 1., 1.]])
    """
    rule = _RULES.get(name)
    if rule is None or (not symbolic[0] and name not in _ANY):
        raise Unsupported(f"{name} is not known for a graph without a batch axis")

    def lifted(*inputs: Any, **attributes: Any) -> Any:  # noqa: ANN401
        return rule(function, symbolic, inputs, attributes)

    return lifted


def _each(function: Function, _: Sequence[bool], xs: _Inputs, attributes: _Attributes) -> Any:  # noqa: ANN401
    return function(*xs, **attributes)


def _broadcast(
    function: Function, symbolic: Sequence[bool], xs: _Inputs, attributes: _Attributes
) -> Any:  # noqa: ANN401
    ranks = [x.dim() - s for x, s in zip(xs, symbolic, strict=True)]
    aligned = [
        x.reshape(len(x), *[1] * (max(ranks) - rank), *x.shape[1:]) if s else x
        for x, s, rank in zip(xs, symbolic, ranks, strict=True)
    ]
    return function(*aligned, **attributes)


def _matmul(_: Function, symbolic: Sequence[bool], xs: _Inputs, __: _Attributes) -> Tensor:
    a, b = xs
    vectors = [s and x.dim() == 2 for x, s in zip(xs, symbolic, strict=True)]
    if all(vectors):
        return torch.sum(a * b, -1)
    if vectors[1]:
        return torch.squeeze(torch.matmul(a, b.unsqueeze(-1)), -1)
    if vectors[0] and symbolic[1]:
        return torch.squeeze(torch.matmul(a.unsqueeze(-2), b), -2)
    return torch.matmul(a, b)


def _gemm(_: Function, symbolic: Sequence[bool], xs: _Inputs, options: _Attributes) -> Tensor:
    a, b, *rest = xs
    a = a.transpose(-1, -2) if options.get("transA") else a
    b = b.transpose(-1, -2) if options.get("transB") else b
    product: Tensor = torch.matmul(a, b) * options.get("alpha", 1.0)
    if not rest or rest[0] is None:
        return product
    addend = rest[0] * options.get("beta", 1.0)
    mask = (True, len(symbolic) > 2 and symbolic[2])
    out: Tensor = _broadcast(torch.add, mask, (product, addend), {})
    return out


def _flatten(_: Function, __: Sequence[bool], xs: _Inputs, options: _Attributes) -> Tensor:
    (x,) = xs
    sizes = x.shape[1:]
    axis = options.get("axis", 1)
    axis = axis + len(sizes) if axis < 0 else axis
    out: Tensor = x.reshape(len(x), math.prod(sizes[:axis]), math.prod(sizes[axis:]))
    return out


def _reshape(_: Function, __: Sequence[bool], xs: _Inputs, options: _Attributes) -> Tensor:
    x, shape = xs
    sizes = ints(shape)
    if not options.get("allowzero"):
        sizes = [x.shape[i + 1] if size == 0 else size for i, size in enumerate(sizes)]
    out: Tensor = x.reshape(len(x), *sizes)
    return out


def _transpose(_: Function, __: Sequence[bool], xs: _Inputs, options: _Attributes) -> Tensor:
    (x,) = xs
    perm = options.get("perm") or list(reversed(range(x.dim() - 1)))
    out: Tensor = x.permute(0, *(p + 1 for p in perm))
    return out


def _concat(
    function: Function, symbolic: Sequence[bool], xs: _Inputs, options: _Attributes
) -> Tensor:
    rows = next(len(x) for x, s in zip(xs, symbolic, strict=True) if s)
    full = [x if s else x.expand(rows, *x.shape) for x, s in zip(xs, symbolic, strict=True)]
    out: Tensor = function(*full, axis=_shifted([options["axis"]])[0])
    return out


def _shifted(axes: Ints) -> list[int]:
    return [axis + 1 if axis >= 0 else axis for axis in ints(axes)]


def _along(default: int) -> _Rule:
    """Shift the attribute ``axis``."""

    def rule(
        function: Function, symbolic: Sequence[bool], xs: _Inputs, options: _Attributes
    ) -> Any:  # noqa: ANN401
        axis = options.get("axis", default)
        if function.__name__.endswith("softmax_flat") and "axis" not in options:
            axis = 1
        return function(*xs, **{**options, "axis": _shifted([axis])[0]})

    return rule


def _over(place: int, otherwise: Callable[[Tensor, _Inputs], list[int] | None]) -> _Rule:
    """Shift the axes, which are an attribute or the input at ``place``."""

    def rule(
        function: Function, symbolic: Sequence[bool], xs: _Inputs, options: _Attributes
    ) -> Any:  # noqa: ANN401
        axes = options.get("axes", xs[place] if len(xs) > place else None)
        moved = otherwise(xs[0], xs) if axes is None else _shifted(axes)
        if "axes" in options or len(xs) <= place:
            return function(*xs, **{**options, "axes": moved})
        return function(*xs[:place], moved, *xs[place + 1 :], **options)

    return rule


def _windowed(
    function: Function, symbolic: Sequence[bool], xs: _Inputs, options: _Attributes
) -> Any:  # noqa: ANN401
    """Merge the batch into the first axis, which these operators take as theirs."""
    x, *rest = xs
    out = function(x.reshape(len(x) * x.shape[1], *x.shape[2:]), *rest, **options)
    return out.reshape(len(x), x.shape[1], *out.shape[1:])


def _all_but_batch(x: Tensor, _: _Inputs) -> list[int]:
    return list(range(1, x.dim()))


def _singles(x: Tensor, _: _Inputs) -> list[int]:
    return [i for i in range(1, x.dim()) if x.shape[i] == 1]


_EACH = [
    "Abs",
    "Cast",
    "Clip",
    "Dropout",
    "Elu",
    "Erf",
    "Exp",
    "Gelu",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "LeakyRelu",
    "Log",
    "Neg",
    "Reciprocal",
    "Relu",
    "Sigmoid",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Tanh",
]
_BROADCAST = ["Add", "Div", "Max", "Min", "Mod", "Mul", "Pow", "Sub", "Sum"]
_WINDOWED = [
    "AveragePool",
    "BatchNormalization",
    "Conv",
    "ConvTranspose",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "InstanceNormalization",
    "MaxPool",
]
_REDUCED = ("ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum")
_ANY = frozenset([*_BROADCAST, "MatMul", "Concat"])  # whose first input may be a constant
_RULES: dict[str, _Rule] = {
    **dict.fromkeys(_EACH, _each),
    **dict.fromkeys(_BROADCAST, _broadcast),
    **dict.fromkeys(_WINDOWED, _windowed),
    **dict.fromkeys(_REDUCED, _over(1, _all_but_batch)),
    "Concat": _concat,
    "Flatten": _flatten,
    "Gather": _along(0),
    "Gemm": _gemm,
    "LogSoftmax": _along(-1),
    "MatMul": _matmul,
    "Reshape": _reshape,
    "Slice": _over(3, lambda _, xs: list(range(1, len(ints(xs[1])) + 1))),
    "Softmax": _along(-1),
    "Split": _along(0),
    "Squeeze": _over(1, _singles),
    "Transpose": _transpose,
    "Unsqueeze": _over(1, lambda *_: None),
}
