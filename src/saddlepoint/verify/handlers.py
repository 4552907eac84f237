"""Which operator stands for which torch function, and which results share memory."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from saddlepoint.core.errors import Unsupported
from saddlepoint.verify import activations, arithmetic, layouts, windows
from saddlepoint.verify.tracing import Traced

__all__ = ["HANDLERS", "QUESTIONS"]

Handler = Callable[..., Any]


def _attribute(name: str) -> Any:  # noqa: ANN401
    """Return what a subclass of Tensor is told when an attribute is read."""
    return getattr(Tensor, name).__get__


# What may be asked of a traced tensor without being recorded: all but its numbers. Constants in
# the shape of a tensor are an answer as well.
QUESTIONS: frozenset[Any] = frozenset(
    {
        *map(
            _attribute, ("shape", "dtype", "device", "ndim", "layout", "requires_grad", "grad_fn")
        ),
        *map(_attribute, ("is_cuda", "is_mps", "is_sparse", "is_quantized", "is_leaf")),
        Tensor.size,
        Tensor.dim,
        Tensor.ndimension,
        Tensor.numel,
        Tensor.nelement,
        Tensor.is_floating_point,
        Tensor.is_complex,
        Tensor.is_contiguous,
        Tensor.stride,
        Tensor.__len__,
        Tensor.element_size,
        Tensor.new_zeros,
        Tensor.new_ones,
        Tensor.new_full,
        Tensor.new_tensor,
        torch.is_floating_point,
        torch.is_complex,
        torch.numel,
        torch.zeros_like,
        torch.ones_like,
        torch.full_like,
    }
)


def _view(handler: Handler) -> Handler:
    """Handle a function whose result may share the memory of its argument."""

    def handle(x: Traced, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        result = handler(x, *args, **kwargs)
        for part in result if isinstance(result, Sequence) else (result,):
            part.alias(x)
        return result

    return handle


def _in_place(handler: Handler) -> Handler:
    """Handle a function that writes its result over its first argument."""

    def handle(x: Any, *args: Any, **kwargs: Any) -> Traced:  # noqa: ANN401
        if not isinstance(x, Traced):
            raise Unsupported("writing what depends on the input into a constant")
        return x.overwrite(handler(x, *args, **kwargs))

    return handle


def _dropout(x: Traced, p: float = 0.5, training: bool = False, inplace: bool = False) -> Traced:
    if training and p > 0:
        raise Unsupported("dropout in training mode: call model.eval() first")
    return x


def _same(x: Traced) -> Traced:
    return x.again()


def _clone(x: Traced, *, memory_format: torch.memory_format | None = None) -> Traced:
    return x.again()


def _cast(function: Callable[..., Tensor]) -> Handler:
    """Handle a conversion, which must not convert."""

    def handle(x: Traced, *args: Any, **kwargs: Any) -> Traced:  # noqa: ANN401
        plain = [a.plain if isinstance(a, Traced) else a for a in args]
        cast = function(x.plain, *plain, **kwargs)
        if (cast.dtype, cast.device) != (x.dtype, x.device):
            raise Unsupported(
                f"a conversion from {x.dtype} on {x.device} to {cast.dtype} on {cast.device}: "
                "bounds need one type throughout; convert the model with model.to first"
            )
        return x.again()

    return handle


_CASTS: tuple[Callable[..., Tensor], ...] = (
    Tensor.to,
    Tensor.float,
    Tensor.double,
    Tensor.half,
    Tensor.bfloat16,
    Tensor.type_as,
    Tensor.cpu,
    Tensor.contiguous,
)

HANDLERS: dict[Any, Handler] = {
    **activations.HANDLERS,
    **arithmetic.HANDLERS,
    **layouts.HANDLERS,
    **windows.HANDLERS,
    **{function: _view(handler) for function, handler in layouts.VIEWS.items()},
    **{function: _view(_cast(function)) for function in _CASTS},
    **dict.fromkeys((Tensor.detach, torch.detach, _attribute("data")), _view(_same)),
    **dict.fromkeys((Tensor.clone, torch.clone), _clone),
    **dict.fromkeys((F.dropout, F.dropout1d, F.dropout2d, F.dropout3d), _dropout),
    **dict.fromkeys((torch.dropout, F.alpha_dropout, F.feature_alpha_dropout), _dropout),
    **{function: _in_place(handler) for function, handler in activations.IN_PLACE.items()},
    **{function: _in_place(handler) for function, handler in arithmetic.IN_PLACE.items()},
}
