"""A threshold as the first layer: pixels near 0 and 1 are out of an L_inf adversary's reach."""

from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.overrides import has_torch_function_unary

from saddlepoint.core.errors import Invalid

__all__ = ["ThresholdStem", "decimal", "is_threshold"]

_STEP = 1 + 2**-23  # one float32 step, relative
_WIDEST = 0.5 - 2**-20  # nearer to 1/2 the ramp between the thresholds vanishes in float32


def is_threshold(eps: object) -> TypeGuard[float]:
    """Whether ``eps`` is a number in [0, 0.5), far enough from 0.5 for float32.

    >>> is_threshold(0.3), is_threshold(0.5), is_threshold("0.3")
    (True, False, False)
    """
    if isinstance(eps, bool) or not isinstance(eps, int | float):
        return False
    return 0 <= eps <= _WIDEST


def decimal(value: Tensor) -> float:
    """Return the shortest decimal number that rounds to ``value`` in its own floating type.

    A number that was stored in half precision so comes back as it was meant.

    >>> decimal(torch.tensor(0.3)), decimal(torch.tensor(0.3, dtype=torch.float16))
    (0.3, 0.3)
    """
    exact = float(value)
    for digits in range(1, 17):
        short = float(f"{exact:.{digits}g}")
        # The device is named, since callers may work under torch.device("meta").
        wide = torch.tensor(short, dtype=torch.float64, device="cpu")
        if float(wide.to(value.dtype)) == exact:
            return short
    return exact


class ThresholdStem(nn.Module):
    """Map each pixel to ``phi(x) = clip((x - eps) / (1 - 2 eps), 0, 1)``; gradients pass straight.

    x has any shape and lies in [0, 1]. A pixel at 0 or 1 cannot be moved by an L_inf adversary of
    radius ``eps``: phi gives exactly 0 and 1 there. That is a prior for inputs that are nearly
    binary, such as MNIST digits; other images lose detail and gain nothing.

    Backward is d phi / dx = 1 / (1 - 2 eps) everywhere, the straight-through estimator. The true
    derivative is zero on saturated pixels, where gradient attacks would stall and report robustness
    that is not there (arXiv:1802.00420, section 4.1). As phi is monotone in each pixel, steps along
    the sign of this gradient are steps along the gradient in the box of phi's outputs: the layer
    hands its attackers a gradient they can use instead of masking it.

    ``eps`` is a float32 buffer, so that weights files carry it and do not fit a net without the
    layer. Raises ``Invalid`` unless 0 <= eps < 0.5, and for inputs that are not floats.

    >>> stem = ThresholdStem(0.25)
    >>> x = torch.tensor([0.0, 0.25, 0.375, 0.75, 1.0], requires_grad=True)
    >>> [round(v, 4) for v in stem(x).tolist()]
    [0.0, 0.0, 0.25, 1.0, 1.0]
    >>> torch.autograd.grad(stem(x).sum(), x)[0]
    tensor([2.0000, 2.0000, 2.0000, 2.0000, 2.0000])
    """

    eps: Tensor

    def __init__(self, eps: float) -> None:
        super().__init__()
        if not is_threshold(eps):
            raise Invalid("eps", eps, "a number in [0, 0.5)")
        self.register_buffer("eps", torch.tensor(float(eps), dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        """Return phi(x), of the shape and type of x."""
        if not x.is_floating_point():
            hint = "for 8-bit images use x.float() / 255"
            raise Invalid("x", f"<dtype {x.dtype}>", "floats", hint)
        # An adversary adds +-eps in floating point, where eps itself is rounded, up or down. One
        # step more than the rounded eps is at least both. Rounding keeps order, so that for every
        # u <= low, round(0 + u) <= low and round(1 - u) >= round(1 - low), which is high.
        low = (self.eps * _STEP).to(x.dtype)
        if has_torch_function_unary(x):  # who records operators must see them
            return (x.clamp(low, 1 - low) - low) / ((1 - low) - low)
        out: Tensor = _Threshold.apply(x, low, 1 - low)  # type: ignore[no-untyped-call]
        return out

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Refuse a threshold that cannot be; undo the rounding of files in half precision."""
        found = state_dict.get(key := f"{prefix}eps")
        if isinstance(found, Tensor) and found.numel() == 1 and not found.is_meta:
            eps = decimal(found)
            if not is_threshold(eps):
                error_msgs.append(f"{key} = {eps}: must be a number in [0, 0.5)")
                return
            state_dict[key] = torch.full_like(found, eps, dtype=torch.float32)
        told = (missing_keys, unexpected_keys, error_msgs)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, strict, *told)

    def extra_repr(self) -> str:
        """Return what ``repr`` shows between the parentheses."""
        return "" if self.eps.is_meta else f"eps={decimal(self.eps)}"


class _Threshold(torch.autograd.Function):
    """clip((x - low) / (high - low), 0, 1), with the slope of the ramp as its gradient."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, low: Tensor, high: Tensor) -> Tensor:
        # Cut before scaling: low and high then give 0 / w and w / w, which are exact.
        return x.clamp(low, high).sub_(low).div_(high - low)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:  # noqa: ANN401
        ctx.save_for_backward(*inputs[1:])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        low, high = ctx.saved_tensors
        return grads[0] / (high - low), None, None
