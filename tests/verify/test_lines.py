"""Lines of bent functions hold everywhere, for any t, and coincide where nothing is bent."""

import math

import pytest
import torch
from elements import ELEMENTS
from torch import Tensor

from saddlepoint.verify.interval import Interval
from saddlepoint.verify.operators import smooth
from saddlepoint.verify.operators.operator import Lines, Relaxed
from saddlepoint.verify.operators.piecewise import Bend
from saddlepoint.verify.operators.smooth import Smooth

CORNERS = (-3.0, -1.278464542761074, -0.75, -0.5, 0.0, 0.3, 1.0, 3.0)
WIDTHS = (0.0, 1e-30, 1e-12, 1e-6, 1e-3, 0.1, 1.0, 6.0, 40.0, 1e4)


def intervals(kind: torch.dtype) -> Interval:
    """Below, above, beside and across every corner, of every width; (1, N)."""
    found = []
    for width in WIDTHS:
        for corner in CORNERS:
            for share in (-0.5, 0.0, 0.01, 0.3, 0.5, 0.99, 1.0, 1.5):
                found.append((corner - share * width, corner + (1 - share) * width))
    low, high = torch.tensor(found, dtype=torch.float64).T
    low, high = low.to(kind), high.to(kind)
    return Interval(low[None], torch.maximum(low, high)[None])


def random_t(op: Relaxed, x: Interval, seed: int) -> tuple[Tensor | None, Tensor | None]:
    draw = torch.Generator().manual_seed(seed)

    def one(free: bool) -> Tensor | None:
        t = torch.rand(1, 3, *x.low.shape[1:], generator=draw, dtype=x.low.dtype)
        return (t.round() if seed == 0 else t) if free else None

    return one(op.free[0]), one(op.free[1])


def excess(op: Relaxed, x: Interval, lines: Lines, points: int = 301) -> Tensor:
    """How far the function is beyond either line at most, relative to the sizes involved."""
    share = torch.linspace(0, 1, points, dtype=torch.float64)[:, None, None, None]
    low, high = x.low.double()[:, None], x.high.double()[:, None]
    z = torch.minimum(low + share * (high - low), high)
    f = op.forward(z)
    offset = 0.0 if lines.low_offset is None else lines.low_offset.double()
    below = lines.low_slope.double() * z + offset
    above = lines.high_slope.double() * z + lines.high_offset.double()
    size = (
        1 + f.abs() + (lines.low_slope.double() * z).abs() + (lines.high_slope.double() * z).abs()
    )
    return (torch.maximum(below - f, f - above) / size).amax()


@pytest.mark.parametrize("name", ELEMENTS)
def test_lines_hold_for_any_t(name: str) -> None:
    op = ELEMENTS[name]
    for kind, tolerance in ((torch.float64, 1e-13), (torch.float32, 1e-6)):
        x = intervals(kind)
        choices = [(None, None), *(random_t(op, x, seed) for seed in range(3))]
        for low, high in choices:
            lines = op.lines(x, low, high)
            assert all(t is None or t.isfinite().all() for t in lines)
            assert excess(op, x, lines) <= tolerance


@pytest.mark.parametrize("name", ELEMENTS)
def test_lines_coincide_with_the_function_where_it_is_not_bent(name: str) -> None:
    op, x = ELEMENTS[name], intervals(torch.float64)
    lines = op.lines(x, *random_t(op, x, 1))
    offset = 0.0 if lines.low_offset is None else lines.low_offset
    for z in (x.low[:, None], x.high[:, None]):
        gap = (lines.high_slope - lines.low_slope) * z + lines.high_offset - offset
        straight = ~op.bent(x)[:, None].expand_as(gap)
        allowed = 1e-12 if not isinstance(op, Smooth) else 1e-8 * op.curvature
        assert straight.any()
        assert (gap[straight].abs() <= allowed * (1 + z.expand_as(gap)[straight].abs()) ** 2).all()


@pytest.mark.parametrize("name", ELEMENTS)
def test_the_best_t_alone_is_one_and_a_knot_lies_inside(name: str) -> None:
    op, x = ELEMENTS[name], intervals(torch.float64)
    given, own = op.lines(x, None, None), op.default(x)
    t = [None if d is None else d[:, None] for d in own]
    for one, two in zip(given, op.lines(x, *t), strict=True):
        assert (one is None) == (two is None)
        if one is not None:
            torch.testing.assert_close(one.expand_as(two), two)
    for free, d in zip(op.free, own, strict=True):
        assert free == (d is not None)
    bent, knot = op.bent(x), op.knot(x)
    assert bent.any()
    assert ((knot > x.low) & (knot < x.high))[bent].all()


@pytest.mark.parametrize("left", [0.0, 0.1, -1.0])
def test_lower_lines_of_a_bend_go_from_one_side_to_the_other(left: float) -> None:
    op, x = Bend(left, 1.0), Interval(-torch.ones(1, 1), torch.ones(1, 1))
    t = torch.tensor([[[0.0], [0.5], [1.0]]])
    lines = op.lines(x, t, None)
    assert lines.low_slope.flatten().tolist() == pytest.approx([left, (1 + left) / 2, 1.0])
    assert lines.high_slope.flatten().tolist() == pytest.approx([(1 + left) / 2])
    assert lines.high_offset.flatten().tolist() == pytest.approx([(1 - left) / 2])


SMOOTH = {name: op for name, op in ELEMENTS.items() if isinstance(op, Smooth)}


def slopes(op: Smooth, z: Tensor) -> Tensor:
    z = z.clone().requires_grad_()
    (g,) = torch.autograd.grad(op.function(z).sum(), z)
    return g


@pytest.mark.parametrize("name", SMOOTH)
def test_constants_of_smooth_functions(name: str) -> None:
    """f'' and the range of f' on a fine grid, knots left out; beyond 40 they are straight."""
    op = SMOOTH[name]
    z = torch.linspace(-40, 40, 800_001, dtype=torch.float64)
    g = slopes(op, z)
    second = (g[1:] - g[:-1]).abs() / (z[1] - z[0])
    for knot in op.knots:
        second[((z[1:] - knot).abs() < 3e-4) | ((z[:-1] - knot).abs() < 3e-4)] = 0
    assert second.max() <= op.curvature + 1e-9
    assert second.max() >= 0.98 * op.curvature  # and not wastefully large
    if math.isfinite(op.rise):
        assert g.max() - g.min() <= op.rise + 1e-9
        assert g.max() - g.min() >= 0.98 * op.rise


@pytest.mark.parametrize("name", SMOOTH)
def test_dips_of_smooth_functions(name: str) -> None:
    op = SMOOTH[name]
    z = torch.linspace(-40, 40, 800_001, dtype=torch.float64)
    f = op.function(z)
    if op.dip is None:
        assert (f[1:] >= f[:-1] - 1e-12).all()
        return
    assert (f[1:] <= f[:-1] + 1e-12)[z[1:] <= op.dip].all()
    assert (f[1:] >= f[:-1] - 1e-12)[z[:-1] >= op.dip].all()
    assert op.function(torch.tensor(op.dip, dtype=torch.float64)) <= f.min() + 1e-12


def test_lines_of_smooth_functions_are_near_the_best_ones() -> None:
    """Tangent below and chord above are best for softplus, which is convex: 1 % from them."""
    x = Interval(torch.tensor([[-2.0]]), torch.tensor([[2.0]]))
    lines = smooth.SOFTPLUS.lines(x, None, None)
    low = math.log(1 + math.exp(-2.0))
    assert float(lines.high_offset) == pytest.approx((low + low + 2) / 2, rel=0.01)
    assert float(lines.high_slope) == pytest.approx(0.5, rel=0.01)
    assert lines.low_offset is not None
    assert float(lines.low_offset) == pytest.approx(math.log(2), rel=0.01)
