"""Shapes, slices, joins and means of traced tensors, as operators."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from saddlepoint.core.errors import Unsupported
from saddlepoint.verify.operators.rearrange import Concat, Reshape, Sift
from saddlepoint.verify.tracing import Traced

__all__ = ["HANDLERS", "VIEWS", "sifted"]


def _sizes(sizes: tuple[Any, ...]) -> list[int]:
    first = sizes[0] if len(sizes) == 1 else None
    return list(first if isinstance(first, Sequence) else sizes)


def by_shape(function: Callable[..., Tensor]) -> Callable[..., Traced]:
    """Handle a function that changes nothing but the shape."""

    def handle(x: Traced, *args: Any, **kwargs: Any) -> Traced:  # noqa: ANN401
        with torch._C.DisableTorchFunctionSubclass():
            shape, old = function(x, *args, **kwargs).shape, x.shape
        if shape == old:
            return Traced.of(x.tape, x._node, x.ending) if x.ending else x.again()
        if not len(shape) or shape[0] != old[0]:
            raise Unsupported(f"a reshape of {tuple(old)} to {tuple(shape)}, which mixes samples")
        return x.tape.add(Reshape(tuple(shape[1:])), x)

    return handle


def _reshape(x: Traced, *sizes: Any, shape: Any = None) -> Traced:  # noqa: ANN401
    if len(sizes) == 1 and isinstance(sizes[0], torch.dtype):
        raise Unsupported("a view of another type")
    return by_shape(torch.reshape)(x, _sizes(sizes) if sizes else shape)


def sifted(function: Callable[..., Tensor]) -> Callable[..., Traced]:
    """Handle a linear function without negative weights that keeps samples apart."""

    def handle(x: Traced, *args: Any, **kwargs: Any) -> Traced:  # noqa: ANN401
        if any(isinstance(a, Traced) for a in (*args, *kwargs.values())):
            raise Unsupported(f"{function.__name__} with an index that depends on the input")
        return x.tape.add(Sift(lambda t: function(t, *args, **kwargs)), x)

    return handle


def _over_axes(function: Callable[..., Tensor]) -> Callable[..., Traced]:
    """Handle a sum or a mean over axes, which must not be that of the samples."""

    def handle(x: Traced, dim: Any = None, *args: Any, **kwargs: Any) -> Traced:  # noqa: ANN401
        axes = (dim,) if isinstance(dim, int) else tuple(dim or ())
        if not axes or any(axis % x.dim() == 0 for axis in axes):
            raise Unsupported(
                f"{function.__name__} over samples: name the axes to reduce; and code that "
                "branches on such a number cannot be bounded"
            )
        return x.tape.add(Sift(lambda t: function(t, axes, *args, **kwargs)), x)

    return handle


def _expand(x: Traced, *sizes: Any) -> Traced:  # noqa: ANN401
    wanted = _sizes(sizes)
    if len(wanted) != x.dim() or wanted[0] not in (-1, x.shape[0]):
        raise Unsupported(f"an expansion of {tuple(x.shape)} to {tuple(wanted)}")
    one = tuple(wanted[1:])
    return x.tape.add(Sift(lambda t: t.expand(-1, *one)), x)


def _concat(xs: Sequence[Any], dim: int = 0, axis: int | None = None) -> Traced:
    """Join traced tensors and constants along an axis of one sample."""
    dim = dim if axis is None else axis
    first = next(x for x in xs if isinstance(x, Traced))
    where = dim % first.dim()
    if where == 0:
        raise Unsupported("a concatenation along the axis of the samples")
    parts = [x if isinstance(x, Traced) else _lifted(x, first) for x in xs]
    return first.tape.add(Concat(where - 1), *parts)


def _lifted(constant: Tensor, like: Traced) -> Traced:
    """A constant as a node: nothing of the input, plus an offset."""
    from saddlepoint.verify.arithmetic import add

    one = constant.shape[1:]
    size = like.plain[0].numel()

    def nothing(t: Tensor) -> Tensor:
        return (
            (t.reshape(len(t), size)[:, :1] * 0).reshape(len(t), *[1] * len(one)).expand(-1, *one)
        )

    return add(like.tape.add(Sift(nothing), like), constant)


def _stack(xs: Sequence[Traced], dim: int = 0) -> Traced:
    rank = xs[0].dim() + 1
    lifted = [x.tape.add(Sift(functools.partial(torch.unsqueeze, dim=dim % rank)), x) for x in xs]
    return _concat(lifted, dim % rank)


def _split(x: Traced, sizes: Any, dim: int = 0) -> tuple[Traced, ...]:  # noqa: ANN401
    return _parts(x, torch.split(x.plain, sizes, dim), dim)


def _unbind(x: Traced, dim: int = 0) -> tuple[Traced, ...]:
    if dim % x.dim() == 0:
        raise Unsupported("a loop over samples")
    return tuple(sifted(torch.select)(x, dim, i) for i in range(x.shape[dim]))


def _chunk(x: Traced, chunks: int, dim: int = 0) -> tuple[Traced, ...]:
    return _parts(x, x.plain.chunk(chunks, dim), dim)


def _parts(x: Traced, parts: Sequence[Tensor], dim: int) -> tuple[Traced, ...]:
    begin, found = 0, []
    for part in parts:
        size = part.shape[dim]
        found.append(sifted(torch.narrow)(x, dim, begin, size))
        begin += size
    return tuple(found)


def _pad(
    x: Traced, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Traced:
    from saddlepoint.verify.arithmetic import add

    pad = tuple(pad)
    if mode != "constant" or not value:
        return x.tape.add(Sift(lambda t: F.pad(t, pad, mode)), x)
    if not math.isfinite(value):
        raise Unsupported(f"padding with {value}")
    border = F.pad(x.new_zeros(1, *x.shape[1:]), pad, value=value)
    return add(x.tape.add(Sift(lambda t: F.pad(t, pad)), x), border)


_AVERAGES = ("nearest", "nearest-exact", "area", "linear", "bilinear", "trilinear")


def _interpolate(
    x: Traced,
    size: Any = None,  # noqa: ANN401
    scale_factor: Any = None,  # noqa: ANN401
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Traced:
    if mode not in _AVERAGES:
        raise Unsupported(f"interpolation in mode {mode}, whose weights are of both signs")
    options = (size, scale_factor, mode, align_corners, recompute_scale_factor, antialias)
    return x.tape.add(Sift(lambda t: F.interpolate(t, *options)), x)


# Their results may share the memory of their argument.
VIEWS: dict[Any, Callable[..., Any]] = {
    **dict.fromkeys((torch.reshape, Tensor.reshape, Tensor.view), _reshape),
    **dict.fromkeys((torch.flatten, Tensor.flatten), by_shape(torch.flatten)),
    **dict.fromkeys((torch.ravel, Tensor.ravel), by_shape(torch.ravel)),
    **dict.fromkeys((torch.squeeze, Tensor.squeeze), by_shape(torch.squeeze)),
    **dict.fromkeys((torch.unsqueeze, Tensor.unsqueeze), by_shape(torch.unsqueeze)),
    **dict.fromkeys((torch.unflatten, Tensor.unflatten), by_shape(torch.unflatten)),
    Tensor.view_as: by_shape(Tensor.view_as),
    Tensor.reshape_as: by_shape(Tensor.reshape_as),
    **dict.fromkeys((torch.permute, Tensor.permute), sifted(Tensor.permute)),
    **dict.fromkeys((torch.transpose, Tensor.transpose), sifted(torch.transpose)),
    **dict.fromkeys((torch.swapaxes, Tensor.swapaxes), sifted(torch.transpose)),
    **dict.fromkeys((torch.movedim, Tensor.movedim), sifted(torch.movedim)),
    Tensor.mT.__get__: lambda x: sifted(torch.transpose)(x, -1, -2),  # type: ignore[attr-defined]
    **dict.fromkeys((torch.narrow, Tensor.narrow), sifted(torch.narrow)),
    **dict.fromkeys((torch.select, Tensor.select), sifted(torch.select)),
    **dict.fromkeys((torch.split, Tensor.split), _split),
    **dict.fromkeys((torch.chunk, Tensor.chunk), _chunk),
    **dict.fromkeys((torch.unbind, Tensor.unbind), _unbind),
    Tensor.unfold: sifted(Tensor.unfold),
    Tensor.expand: _expand,
    Tensor.expand_as: lambda x, other: _expand(x, *other.shape),
    Tensor.__getitem__: sifted(Tensor.__getitem__),
}

HANDLERS: dict[Any, Callable[..., Any]] = {
    **dict.fromkeys((torch.index_select, Tensor.index_select), sifted(torch.index_select)),
    **dict.fromkeys((torch.flip, Tensor.flip), sifted(Tensor.flip)),
    **dict.fromkeys((torch.roll, Tensor.roll), sifted(torch.roll)),
    **dict.fromkeys((torch.tile, Tensor.tile, Tensor.repeat), sifted(Tensor.repeat)),
    **dict.fromkeys((torch.mean, Tensor.mean), _over_axes(torch.mean)),
    **dict.fromkeys((torch.sum, Tensor.sum), _over_axes(torch.sum)),
    **dict.fromkeys((torch.cat, torch.concat, torch.concatenate), _concat),
    torch.stack: _stack,
    F.pad: _pad,
    F.interpolate: _interpolate,
    F.unfold: sifted(F.unfold),
    F.pixel_shuffle: sifted(F.pixel_shuffle),
    F.pixel_unshuffle: sifted(F.pixel_unshuffle),
    torch.channel_shuffle: sifted(torch.channel_shuffle),
}
