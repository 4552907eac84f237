"""Smooth functions of one element, bounded by lines that are checked on a grid."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from saddlepoint.verify.interval import Interval
from saddlepoint.verify.operators.operator import Lines

__all__ = [
    "ERF",
    "GELU",
    "HARDSWISH",
    "MISH",
    "SIGMOID",
    "SILU",
    "SOFTPLUS",
    "SOFTSIGN",
    "SQUARE",
    "TANH",
    "TANH_GELU",
    "Smooth",
    "elu",
]

_POINTS = 33
_SLOPES = (0.0, 0.25, 0.5, 0.75, 1.0)  # where in the interval a tangent is tried
_ROUNDING = 8  # units in the last place by which a value on the grid may be off


@dataclass(frozen=True)
class Smooth:
    """A function f with |f''| <= ``curvature``, whose slopes f' lie at most ``rise`` apart.

    dip: where a function that is not monotone is least; it falls before and rises after. knots:
    where f' jumps. A line k z + c is above f on [l, u] iff c >= max f(z) - k z. That is taken over
    a grid of step h and the knots; between two points f is above its chord by at most
    min(curvature h^2 / 8, rise h / 4), which is added. Slopes tried are zero, the chord's and those
    of five tangents; the line that is lowest in the middle wins, which minimises the area between.

    >>> x = Interval(torch.tensor([[-1.0]]), torch.tensor([[1.0]]))
    >>> TANH.lines(x, None, None).high_slope.shape
    torch.Size([1, 1, 1])
    """

    name: str
    function: Callable[[Tensor], Tensor]
    curvature: float
    rise: float
    dip: float | None = None
    knots: tuple[float, ...] = ()
    free: ClassVar[tuple[bool, bool]] = (False, False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, *shape) -> (B, *shape)."""
        return self.function(x)

    def ibp(self, x: Interval) -> Interval:
        """Ends mapped, and the dip where it lies inside."""
        one, two = self.function(x.low), self.function(x.high)
        if self.dip is None:
            return Interval(one, two)
        least = self.function(torch.full_like(one, self.dip))
        # f is flat at the dip: where it is known to 1e-6, its value is wrong by less than 1e-12.
        inside = (x.low < self.dip) & (x.high > self.dip)
        low = torch.where(inside, least - 1e-6, torch.minimum(one, two))
        return Interval(low, torch.maximum(one, two))

    def tilt(self, frame: tuple[Tensor, ...], z: Tensor) -> tuple[None, None]:
        """Nothing turns."""
        return None, None

    def lines(self, x: Interval, low: Tensor | None, high: Tensor | None) -> Lines:
        """Return the lines over an interval."""
        return self.turn(self.frame(x), low, high)

    def turn(self, frame: tuple[Tensor, ...], low: Tensor | None, high: Tensor | None) -> Lines:
        """Nothing turns."""
        return Lines(*frame)

    def frame(self, x: Interval) -> tuple[Tensor, ...]:
        """Best of seven slopes on either side."""
        step = x.width / (_POINTS - 1)
        grid = [x.low + step * i for i in range(_POINTS - 1)] + [x.high]
        grid += [torch.clamp(torch.full_like(x.low, k), x.low, x.high) for k in self.knots]
        values = [self.function(z) for z in grid]
        miss = self.curvature * step.square() / 8
        if math.isfinite(self.rise):
            miss = torch.minimum(miss, self.rise * step / 4)
        slopes = self._slopes(x, values[0], values[_POINTS - 1])
        below = self._line(x, slopes, grid, values, miss, -1.0)
        above = self._line(x, slopes, grid, values, miss, 1.0)
        return tuple(t[:, None] for t in (*below, *above))

    def _line(
        self,
        x: Interval,
        slopes: list[Tensor],
        grid: list[Tensor],
        values: list[Tensor],
        miss: Tensor,
        sign: float,
    ) -> tuple[Tensor, Tensor]:
        """Slope and offset of the line above (sign = 1) or below (sign = -1) the function."""
        middle = (x.low + x.high) / 2
        own = self.ibp(x)
        offset = own.high if sign > 0 else own.low
        slope, height = torch.zeros_like(offset), sign * offset
        unit = _ROUNDING * torch.finfo(middle.dtype).eps
        size = torch.maximum(values[0].abs(), values[_POINTS - 1].abs())
        reach = torch.maximum(x.low.abs(), x.high.abs())
        for new in slopes:
            gap = functools.reduce(
                torch.maximum, [sign * (f - new * z) for f, z in zip(values, grid, strict=True)]
            )
            room = miss + unit * (size + new.abs() * reach)
            new_offset = sign * (gap + room)
            new_height = sign * (new * middle + new_offset)
            better = new_height < height
            height = torch.where(better, new_height, height)
            slope = torch.where(better, new, slope)
            offset = torch.where(better, new_offset, offset)
        return slope, offset

    def _slopes(self, x: Interval, first: Tensor, last: Tensor) -> list[Tensor]:
        """Slope of the chord and of the tangents; any slope is sound."""
        wide = x.width > 1e-6
        chord = torch.where(wide, (last - first) / x.width.clamp(min=1e-6), torch.zeros_like(first))
        return [chord, *(self._slope(x.low + x.width * share) for share in _SLOPES)]

    def _slope(self, z: Tensor) -> Tensor:
        """f'(z), constant to whoever differentiates the bound."""
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            (slope,) = torch.autograd.grad(self.function(z).sum(), z)
        return slope.detach()

    def default(self, x: Interval) -> tuple[None, None]:
        """Nothing to choose."""
        return None, None

    def bent(self, x: Interval) -> Tensor:
        """Whether the interval has any width to speak of, or a knot inside."""
        wide = x.width > 1e-4
        for k in self.knots:
            wide = wide | ((x.low < k) & (x.high > k))
        return wide

    def knot(self, x: Interval) -> Tensor:
        """A knot inside, or else the middle."""
        at = (x.low + x.high) / 2
        for k in self.knots:
            at = torch.where((x.low < k) & (x.high > k), torch.full_like(at, k), at)
        return at


def _tanh_gelu(x: Tensor) -> Tensor:
    return F.gelu(x, approximate="tanh")


def elu(alpha: float) -> Smooth:
    """ELU with a positive alpha; its slope jumps at 0 unless alpha is 1.

    >>> elu(1.0).forward(torch.tensor([2.0]))
    tensor([2.])
    """
    function = functools.partial(F.elu, alpha=alpha)
    # alpha exp(z) on the left; a negative alpha falls from -alpha to 0 there, where it is least.
    dip = 0.0 if alpha < 0 else None
    rise = max(1.0, alpha) - min(0.0, alpha)
    return Smooth("elu", function, abs(alpha), rise, dip=dip, knots=(0.0,))


# Largest second derivatives: sigmoid sqrt(3)/18, tanh 4 sqrt(3)/9, softplus 1/4, SiLU 1/2 at 0,
# GELU 2 phi(0) in both forms, erf 4 exp(-1/2) / sqrt(2 pi), softsign 2 at 0, Mish 0.6443; rounded
# up. tests/verify/test_smooth.py measures them, the slopes and the dips.
SIGMOID = Smooth("sigmoid", torch.sigmoid, 0.0963, 0.25)
TANH = Smooth("tanh", torch.tanh, 0.7699, 1.0)
ERF = Smooth("erf", torch.erf, 0.9679, 1.1284)
SOFTSIGN = Smooth("softsign", F.softsign, 2.0, 1.0)
SOFTPLUS = Smooth("softplus", F.softplus, 0.2501, 1.0)
SILU = Smooth("silu", F.silu, 0.5001, 1.1997, dip=-1.278464542761074)
MISH = Smooth("mish", F.mish, 0.6443, 1.2011, dip=-1.1924312145154952)
GELU = Smooth("gelu", F.gelu, 0.798, 1.2579, dip=-0.7517915246935645)
TANH_GELU = Smooth("tanh-gelu", _tanh_gelu, 0.798, 1.2581, dip=-0.7524614220710163)
HARDSWISH = Smooth("hardswish", F.hardswish, 0.3334, 2.0, dip=-1.5, knots=(-3.0, 3.0))
SQUARE = Smooth("square", torch.square, 2.0, math.inf, dip=0.0)
