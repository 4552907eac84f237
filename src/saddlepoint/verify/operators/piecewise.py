"""Piecewise linear functions of one element: ReLU, leaky ReLU, absolute value, clipping."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from saddlepoint.verify.interval import Interval
from saddlepoint.verify.operators.operator import Lines

__all__ = ["Bend", "Clip"]

_TINY = 1e-30  # keeps 0 / 0 of an interval without width from being NaN


@dataclass(frozen=True)
class Bend:
    """left z below 0 and right z above: ReLU is (0, 1), leaky ReLU (s, 1), the absolute (-1, 1).

    left < right, so the function is convex: its upper line is the chord, and below it lies every
    line through the origin with a slope between the two.

    >>> x = Interval(torch.tensor([[-1.0]]), torch.tensor([[3.0]]))
    >>> Bend().lines(x, None, None).high_slope
    tensor([[[0.7500]]])
    """

    left: float = 0.0
    right: float = 1.0
    free: ClassVar[tuple[bool, bool]] = (True, False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, *shape) -> (B, *shape)."""
        if (self.left, self.right) == (0.0, 1.0):
            return x.relu()
        return torch.where(x > 0, self.right * x, self.left * x)

    def ibp(self, x: Interval) -> Interval:
        """Ends mapped; a function that falls on the left is least at 0."""
        one, two = self.forward(x.low), self.forward(x.high)
        if self.left >= 0:
            return Interval(one, two)
        least = torch.minimum(one, two)
        low = torch.where(self.bent(x), torch.zeros_like(least), least)
        return Interval(low, torch.maximum(one, two))

    def frame(self, x: Interval) -> tuple[Tensor, ...]:
        """Slope of the chord, its offset, where the interval is bent, and t's own choice."""
        down, up = x.low[:, None].clamp(max=0), x.high[:, None].clamp(min=0)
        share = up / (up - down).clamp(min=_TINY)  # 1 where z cannot be negative
        span = self.right - self.left
        t = self.default(x)[0][:, None]
        chord = self.left + span * share
        return chord, -span * share * down, self.bent(x)[:, None], t

    def turn(self, frame: tuple[Tensor, ...], low: Tensor | None, high: Tensor | None) -> Lines:
        """Chord above; below, the slope left + t (right - left), the chord where z is not bent."""
        chord, offset, bent, own = frame
        slope = own if low is None else low
        if (self.left, self.right) != (0.0, 1.0):
            slope = self.left + (self.right - self.left) * slope
        return Lines(torch.where(bent, slope, chord), None, chord, offset)

    def tilt(self, frame: tuple[Tensor, ...], z: Tensor) -> tuple[Tensor, None]:
        """The lower line turns around the origin."""
        return (self.right - self.left) * z * frame[2], None

    def lines(self, x: Interval, low: Tensor | None, high: Tensor | None) -> Lines:
        """Return the lines over an interval."""
        return self.turn(self.frame(x), low, high)

    def default(self, x: Interval) -> tuple[Tensor, Tensor | None]:
        """Return 1 where more of the interval lies above 0 than below."""
        return (x.high > -x.low).to(x.low.dtype), None

    def bent(self, x: Interval) -> Tensor:
        """Whether 0 lies inside."""
        return (x.low < 0) & (x.high > 0)

    def knot(self, x: Interval) -> Tensor:
        """0."""
        return torch.zeros_like(x.low)


@dataclass(frozen=True)
class Clip:
    """min(max(z, least), most): clamp, hard tanh, ReLU6, the threshold stem.

    Convex at ``least`` and concave at ``most``. Where z may fall below ``least``, the lower line
    turns around that corner, from flat to as steep as the values above allow; in the same way the
    upper line around ``most``.
    """

    least: float
    most: float
    free: ClassVar[tuple[bool, bool]] = (True, True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, *shape) -> (B, *shape)."""
        return x.clamp(self.least, self.most)

    def ibp(self, x: Interval) -> Interval:
        """Ends clipped."""
        return Interval(self.forward(x.low), self.forward(x.high))

    def frame(self, x: Interval) -> tuple[Tensor, ...]:
        """Steepest slopes of either line, the points both go through, and t's own choice."""
        low, high = x.low[:, None], x.high[:, None]
        a, b = self.least, self.most
        under, over = (low < a) & (high > a), (low < b) & (high > b)
        inner_low, inner_high = low.clamp(a, b), high.clamp(a, b)
        rise = inner_high - inner_low  # of the function over the interval
        flat = (high <= a) | (low >= b)
        low_most = torch.where(over, rise / (high - inner_low).clamp(min=_TINY), 1.0)
        high_most = torch.where(under, rise / (inner_high - low).clamp(min=_TINY), 1.0)
        low_most = torch.where(flat, 0.0, low_most)
        high_most = torch.where(flat, 0.0, high_most)
        # A line turns around its corner, or else joins both ends: anchored at the one nearer to 0,
        # where less is lost to rounding.
        near = low.abs() < high.abs()
        at, value = torch.where(near, low, high), torch.where(near, inner_low, inner_high)
        below = (low_most, under, *(torch.where(under, inner_low, t) for t in (value, at)))
        above = (high_most, over, *(torch.where(over, inner_high, t) for t in (value, at)))
        own = tuple(t[:, None] for t in self.default(x))
        return (*below, *above, *own)

    def turn(self, frame: tuple[Tensor, ...], low: Tensor | None, high: Tensor | None) -> Lines:
        """Lines around the corners that lie inside, the chord or a constant elsewhere."""
        low_most, under, low_value, low_at, high_most, over, high_value, high_at, t, s = frame
        low_slope = torch.where(under, low_most * (t if low is None else low), low_most)
        high_slope = torch.where(over, high_most * (s if high is None else high), high_most)
        # Both lines go through the function's own values at the ends of its inner part.
        below = low_slope, low_value - low_slope * low_at
        return Lines(*below, high_slope, high_value - high_slope * high_at)

    def tilt(self, frame: tuple[Tensor, ...], z: Tensor) -> tuple[Tensor, Tensor]:
        """Both lines turn around points of the function."""
        low_most, under, _, low_at, high_most, over, _, high_at = frame[:8]
        return low_most * (z - low_at) * under, high_most * (z - high_at) * over

    def lines(self, x: Interval, low: Tensor | None, high: Tensor | None) -> Lines:
        """Return the lines over an interval."""
        return self.turn(self.frame(x), low, high)

    def default(self, x: Interval) -> tuple[Tensor, Tensor]:
        """Steep lines where less of the interval lies beyond the corner than before it."""
        low = x.high - self.least > self.least - x.low
        high = x.high - self.most < self.most - x.low
        return low.to(x.low.dtype), high.to(x.low.dtype)

    def bent(self, x: Interval) -> Tensor:
        """Whether a corner lies inside."""
        return self._inside(x, self.least) | self._inside(x, self.most)

    @staticmethod
    def _inside(x: Interval, corner: float) -> Tensor:
        return (x.low < corner) & (x.high > corner)

    def knot(self, x: Interval) -> Tensor:
        """The corner inside, ``least`` first."""
        least, most = torch.full_like(x.low, self.least), torch.full_like(x.low, self.most)
        return torch.where(self._inside(x, self.least), least, most)
