"""Lines around functions of one element, derived anew for the checker.

``low`` and ``high`` (B, *shape) are the ends of the intervals, float64. Every t in [0, 1] gives
lines that hold.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from saddlepoint.core.errors import Unsupported
from saddlepoint.verify.operators.piecewise import Bend, Clip
from saddlepoint.verify.operators.smooth import Smooth

__all__ = ["FREE", "Lines", "bent", "image", "lines"]

Range = tuple[Tensor, Tensor]
FREE = {Bend: (True, False), Clip: (True, True), Smooth: (False, False)}  # lower, upper line
_POINTS, _FINE = 65, 257  # of the grid for lines, for values


class Lines(NamedTuple):
    """low_slope z + low_offset <= f(z) <= high_slope z + high_offset on the interval."""

    low_slope: Tensor
    low_offset: Tensor
    high_slope: Tensor
    high_offset: Tensor


def bent(op: Any, low: Tensor, high: Tensor) -> Tensor:  # noqa: ANN401
    """Where a corner of the function lies inside the interval; a smooth function has none."""
    inside = torch.zeros_like(low, dtype=torch.bool)
    for corner in (0.0,) if isinstance(op, Bend) else _corners(op):
        inside = inside | (low < corner) & (high > corner)
    return inside


def _corners(op: Any) -> tuple[float, ...]:  # noqa: ANN401
    return (op.least, op.most) if isinstance(op, Clip) else ()


def image(op: Any, low: Tensor, high: Tensor) -> Range:  # noqa: ANN401
    """Ends of the function's values over the interval."""
    one, two = op.forward(low), op.forward(high)
    least, most = torch.minimum(one, two), torch.maximum(one, two)
    if isinstance(op, Bend):  # convex: least at an end or at 0
        return torch.where(bent(op, low, high), least.clamp(max=0), least), most
    if isinstance(op, Clip):
        return least, most
    level = torch.zeros_like(low)
    (_, under), (_, over) = (_edge(op, low, high, [level], k, _FINE) for k in (-1, 1))
    return under, over


def lines(
    op: Any,  # noqa: ANN401
    low: Tensor,
    high: Tensor,
    t: Tensor | None = None,
    s: Tensor | None = None,
) -> Lines:
    """Lines for the intervals: t moves the lower one, s the upper one, None is CROWN's own rule.

    Raises ``Unsupported`` for a function that is not known here.
    """
    known: dict[type, Callable[..., Lines]] = {Bend: _bend, Clip: _clip, Smooth: _smooth}
    concave = isinstance(op, Bend) and not op.left < op.right
    empty = isinstance(op, Clip) and not op.least <= op.most
    if type(op) not in known or concave or empty:
        raise Unsupported(f"no independent checker knows {op}")
    return known[type(op)](op, low, high, t, s)


def _bend(op: Bend, low: Tensor, high: Tensor, t: Tensor | None, s: Tensor | None) -> Lines:
    """Chord above a convex function; below, a line through 0 with a slope between the two."""
    inside = (low < 0) & (high > 0)
    t = (high > -low).to(low) if t is None else t
    left, right = low.new_tensor(op.left), low.new_tensor(op.right)  # two numbers would be float32
    side = torch.where(low >= 0, right, left)
    wide = torch.where(inside, high - low, 1.0)
    chord = torch.where(inside, (op.right * high - op.left * low) / wide, side)
    below = torch.where(inside, op.left + t * (op.right - op.left), side)
    lift = torch.where(inside, (op.right - chord) * high, 0.0)
    return Lines(below, torch.zeros_like(lift), chord, lift)


def _clip(op: Clip, low: Tensor, high: Tensor, t: Tensor | None, s: Tensor | None) -> Lines:
    """Lower line through the corner ``least`` or the left end, upper through ``most`` or the right.

    Right of the pivot p = max(low, least) the function is concave, so the chord from p to high is
    below it; left of p it is flat, so any slope from 0 to the chord's is. The upper line mirrors
    this.
    """
    t = (high - op.least > op.least - low).to(low) if t is None else t
    s = (high - op.most < op.most - low).to(low) if s is None else s
    first, last = op.forward(low), op.forward(high)
    p, q = low.clamp(min=op.least), high.clamp(max=op.most)
    low_chord = torch.where(p < high, (last - op.forward(p)) / (high - p), 0.0)
    high_chord = torch.where(low < q, (op.forward(q) - first) / (q - low), 0.0)
    below = torch.where(low < op.least, t * low_chord, low_chord)
    above = torch.where(high > op.most, s * high_chord, high_chord)
    p, q = torch.where(p < high, p, high), torch.where(low < q, q, low)
    return Lines(below, op.forward(p) - below * p, above, op.forward(q) - above * q)


def _smooth(op: Smooth, low: Tensor, high: Tensor, t: Tensor | None, s: Tensor | None) -> Lines:
    """Of the chord and some tangents, shifted until they hold, the closest in the middle."""
    wide = high - low
    ends = op.forward(high) - op.forward(low)
    chord = torch.where(wide > 1e-6, ends / wide.clamp(min=1e-6), 0.0)
    tried = [chord, *(_slope(op, low + wide * k / 4) for k in range(5))]
    return Lines(*_edge(op, low, high, tried, -1), *_edge(op, low, high, tried, 1))


def _slope(op: Smooth, z: Tensor) -> Tensor:
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        (slope,) = torch.autograd.grad(op.forward(z).sum(), z)
    return slope.detach()


def _edge(
    op: Smooth, low: Tensor, high: Tensor, slopes: list[Tensor], sign: int, points: int = _POINTS
) -> Range:
    """Slope and offset of the line above (sign 1) or below (sign -1) the function.

    The offset is right at the points of a grid of step h; between them a function with
    |f''| <= c misses it by c h^2 / 8 at most.
    """
    step = (high - low) / (points - 1)
    grid = [low + step * k for k in range(points)]
    values = [op.forward(z) for z in grid]
    miss = op.curvature * step.square() / 8
    found: list[Range] = []
    for slope in slopes:
        gap = sign * (values[0] - slope * grid[0])
        for f, z in zip(values, grid, strict=True):
            gap = torch.maximum(gap, sign * (f - slope * z))
        found.append((slope, sign * (gap + miss)))
    heights = torch.stack([sign * (k * (low + high) / 2 + c) for k, c in found])
    best = heights.argmin(0)[None]
    return tuple(torch.stack(part).gather(0, best)[0] for part in zip(*found, strict=True))  # type: ignore[return-value]
