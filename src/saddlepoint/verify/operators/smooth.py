"""Smooth functions of one element, bounded by lines that are checked on a grid."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from saddlepoint.verify.interval import Interval
from saddlepoint.verify.operators.operator import Lines

__all__ = ["ELU", "GELU", "SIGMOID", "SILU", "SOFTPLUS", "TANH", "TANH_GELU", "Smooth"]

_POINTS = 33
_SLOPES = (0.0, 0.25, 0.5, 0.75, 1.0)  # where in the interval a tangent is tried


@dataclass(frozen=True)
class Smooth:
    """A function f with |f''| <= ``curvature``; ``dip`` is where a function that is not monotone
    is least: it falls before and rises after.

    A line k z + c is above f on [l, u] iff c >= max f(z) - k z. On a grid of step h the maximum is
    missed by curvature h^2 / 8 at most, which is added. Slopes tried are the chord's and those of
    five tangents; the line that is lowest in the middle wins, which minimises the area between.
    """

    name: str
    function: Callable[[Tensor], Tensor]
    curvature: float
    dip: float | None = None
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
        # f'' near the minimum is below ``curvature``: a dip known to 1e-6 is wrong by 1e-12.
        inside = (x.low < self.dip) & (x.high > self.dip)
        low = torch.where(inside, least - 1e-6, torch.minimum(one, two))
        return Interval(low, torch.maximum(one, two))

    def lines(self, x: Interval, low: Tensor | None, high: Tensor | None) -> Lines:
        """Best of six slopes on either side."""
        below = self._line(x, -1.0)
        above = self._line(x, 1.0)
        return Lines(*(t[:, None] for t in (*below, *above)))

    def _line(self, x: Interval, sign: float) -> tuple[Tensor, Tensor]:
        """Slope and offset of the line above (sign = 1) or below (sign = -1) the function."""
        step = x.width / (_POINTS - 1)
        middle = (x.low + x.high) / 2
        grid = [x.low + step * i for i in range(_POINTS)]
        values = [self.function(z) for z in grid]
        miss = self.curvature * step.square() / 8
        best: tuple[Tensor, Tensor, Tensor] | None = None
        for slope in self._slopes(x, values[0], values[-1]):
            gap = torch.stack([sign * (f - slope * z) for f, z in zip(values, grid, strict=True)])
            offset = sign * (gap.amax(0) + miss)
            height = sign * (slope * middle + offset)
            if best is None:
                best = (height, slope, offset)
            else:
                better = height < best[0]
                new = (height, slope, offset)
                best = tuple(  # type: ignore[assignment]
                    torch.where(better, n, o) for n, o in zip(new, best, strict=True)
                )
        if best is None:
            raise AssertionError("there is always the chord")
        return best[1], best[2]

    def _slopes(self, x: Interval, first: Tensor, last: Tensor) -> list[Tensor]:
        wide = x.width > 1e-6
        chord = torch.where(wide, (last - first) / x.width.clamp(min=1e-6), torch.zeros_like(first))
        return [chord, *(self._slope(x.low + x.width * share) for share in _SLOPES)]

    def _slope(self, z: Tensor) -> Tensor:
        """f'(z), constant to whoever differentiates the bound: any slope is sound."""
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            (slope,) = torch.autograd.grad(self.function(z).sum(), z)
        return slope.detach()

    def default(self, x: Interval) -> tuple[None, None]:
        """Nothing to choose."""
        return None, None

    def bent(self, x: Interval) -> Tensor:
        """Whether the interval has any width to speak of."""
        return x.width > 1e-4

    def knot(self, x: Interval) -> Tensor:
        """The middle."""
        return (x.low + x.high) / 2


def _tanh_gelu(x: Tensor) -> Tensor:
    return F.gelu(x, approximate="tanh")


# Largest second derivatives: sigmoid sqrt(3)/18, tanh 4 sqrt(3)/9, softplus 1/4, SiLU 1/2 at 0,
# ELU 1 on the left, GELU 2 phi(0); rounded up. The tanh form of GELU differs by less than 0.02.
SIGMOID = Smooth("sigmoid", torch.sigmoid, 0.0963)
TANH = Smooth("tanh", torch.tanh, 0.7699)
SOFTPLUS = Smooth("softplus", F.softplus, 0.2501)
SILU = Smooth("silu", F.silu, 0.5001, dip=-1.2784645427610738)
GELU = Smooth("gelu", F.gelu, 2 / math.sqrt(2 * math.pi) + 1e-4, dip=-0.7517915246935645)
TANH_GELU = Smooth("tanh-gelu", _tanh_gelu, 0.83, dip=-0.7524614)
ELU = Smooth("elu", F.elu, 1.0)
