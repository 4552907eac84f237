"""Matrix products and convolutions by fixed weights."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from saddlepoint.verify.interval import Interval
from saddlepoint.verify.operators.operator import fold, unfold

__all__ = ["Convolution", "Matrix", "TransposedConvolution"]

_CONV: dict[int, Callable[..., Tensor]] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_BACK: dict[int, Callable[..., Tensor]] = {
    1: F.conv_transpose1d,
    2: F.conv_transpose2d,
    3: F.conv_transpose3d,
}


def _by_centre(
    product: Callable[[Tensor, Tensor], Tensor], weight: Tensor, x: Interval, bias: Tensor | None
) -> Interval:
    """W c + b -+ |W| r, with c the centre of the interval and r half its width."""
    middle = product((x.high + x.low) / 2, weight)
    if bias is not None:
        middle = middle + bias
    radius = product((x.high - x.low) / 2, weight.abs())
    return Interval(middle - radius, middle + radius)


@dataclass(frozen=True, eq=False)
class Matrix:
    """x W' + b over the last axis; W is (out, in), ``bias`` (out,) or None."""

    weight: Tensor
    bias: Tensor | None = None
    turned: bool = False  # weight is W', (in, out), as in a product x @ weight

    @property
    def _w(self) -> Tensor:
        return self.weight.mT if self.turned else self.weight

    def forward(self, x: Tensor) -> Tensor:
        """(B, …, in) -> (B, …, out)."""
        return F.linear(x, self._w, self.bias)

    def ibp(self, x: Interval) -> Interval:
        """W c + b -+ |W| r."""
        return _by_centre(F.linear, self._w, x, self.bias)

    def transpose(self, a: Tensor, shapes: tuple[torch.Size, ...]) -> tuple[Tensor]:
        """A W."""
        return (a @ self._w,)

    def constant(self, a: Tensor) -> Tensor | None:
        """<a, b>."""
        return None if self.bias is None else (a @ self.bias).reshape(*a.shape[:2], -1).sum(2)


@dataclass(frozen=True, eq=False)
class _Window(ABC):
    """What convolutions share: weights over windows, and one bias for each channel."""

    weight: Tensor
    bias: Tensor | None

    @property
    def _n(self) -> int:
        return self.weight.dim() - 2

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, *size) -> (B, C', *size')."""
        return self._product(x, self.weight, self.bias)

    @abstractmethod
    def _product(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor: ...

    def ibp(self, x: Interval) -> Interval:
        """W c + b -+ |W| r."""
        return _by_centre(self._product, self.weight, x, _per_channel(self.bias, self._n))

    def constant(self, a: Tensor) -> Tensor | None:
        """<a, b>, b for every position of a channel."""
        return None if self.bias is None else a.flatten(3).sum(3) @ self.bias


@dataclass(frozen=True, eq=False)
class Convolution(_Window):
    """Convolution in one, two or three dimensions; ``weight`` is (out, in / groups, *kernel)."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int = 1

    def _product(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        how = (self.stride, self.padding, self.dilation, self.groups)
        return _CONV[self._n](x, weight, bias, *how)

    def transpose(self, a: Tensor, shapes: tuple[torch.Size, ...]) -> tuple[Tensor]:
        """Convolution transposed, with the padding that gives the input its size back."""
        kernel = self.weight.shape[2:]
        if (
            self._n == 2
            and self.groups == 1
            and kernel.numel() <= 4 * self.weight.shape[0] // (self.weight.shape[1])
        ):
            return (self._spread(a, shapes[0]),)
        extra = [
            size - ((out - 1) * s - 2 * p + d * (k - 1) + 1)
            for size, out, s, p, d, k in zip(
                shapes[0][1:],
                a.shape[3:],
                self.stride,
                self.padding,
                self.dilation,
                kernel,
                strict=True,
            )
        ]
        how = (self.stride, self.padding, extra, self.groups, self.dilation)
        back = _BACK[self._n](fold(a), self.weight, None, *how)
        return (unfold(back, a),)

    def _spread(self, a: Tensor, shape: torch.Size) -> Tensor:
        """One matrix product and a sum of patches: five times as fast where channels are few."""
        columns = self.weight.flatten(1).T @ fold(a).flatten(2)
        how = (self.dilation, self.padding, self.stride)
        return unfold(F.fold(columns, shape[1:], self.weight.shape[2:], *how), a)


@dataclass(frozen=True, eq=False)
class TransposedConvolution(_Window):
    """The transpose of a convolution; ``weight`` is (in, out / groups, *kernel)."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    output_padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int = 1

    def _product(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        how = (self.stride, self.padding, self.output_padding, self.groups, self.dilation)
        return _BACK[self._n](x, weight, bias, *how)

    def transpose(self, a: Tensor, shapes: tuple[torch.Size, ...]) -> tuple[Tensor]:
        """Plain convolution by the same weights."""
        how = (self.stride, self.padding, self.dilation, self.groups)
        forth = _CONV[self._n](fold(a), self.weight, None, *how)
        sizes = shapes[0][1:]
        # Output padding may leave the convolution more places than the input has.
        for axis, size in enumerate(sizes, 2):
            forth = forth.narrow(axis, 0, size)
        return (unfold(forth, a),)


def _per_channel(bias: Tensor | None, n: int) -> Tensor | None:
    return None if bias is None else bias.reshape(-1, *[1] * n)
