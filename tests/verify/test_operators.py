"""Laws of every operator: the transpose is the adjoint, and intervals hold what they must."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from elements import ELEMENTS
from torch import Tensor
from torch.nn import functional as F

from saddlepoint.verify.interval import Interval
from saddlepoint.verify.operators.affine import Add, BatchNorm, Scale, Subtract
from saddlepoint.verify.operators.leak import Leak
from saddlepoint.verify.operators.linear import Convolution, Matrix, TransposedConvolution
from saddlepoint.verify.operators.maximum import Larger
from saddlepoint.verify.operators.operator import Linear
from saddlepoint.verify.operators.piecewise import Bend
from saddlepoint.verify.operators.product import Product
from saddlepoint.verify.operators.rearrange import Concat, Reshape, Sift

GENERATOR = torch.Generator()


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=GENERATOR, dtype=torch.float64)


@pytest.fixture(autouse=True)
def _seed() -> None:
    GENERATOR.manual_seed(0)


def batch_norm(affine: bool, rank: int) -> BatchNorm:
    weight, bias = (normal(4), normal(4)) if affine else (None, None)
    return BatchNorm(weight, bias, normal(4), normal(4).exp(), 1e-3, rank)


Case = tuple[Callable[[], Any], list[tuple[int, ...]], Callable[..., Tensor] | None]

# name: how to make it, the shape of each input, and torch's own function where there is one
LINEAR: dict[str, Case] = {
    "matrix": (lambda: Matrix(normal(3, 5), normal(3)), [(5,)], None),
    "matrix-axes": (lambda: Matrix(normal(3, 5)), [(2, 4, 5)], None),
    "matrix-axes-bias": (lambda: Matrix(normal(3, 5), normal(3)), [(4, 5)], None),
    "matrix-turned": (lambda: Matrix(normal(5, 3), normal(3), turned=True), [(5,)], None),
    "einsum": (
        lambda: Product(lambda x, w: torch.einsum("bchw,kc->bkhw", x, w), normal(3, 2)),
        [(2, 3, 2)],
        lambda op, x: (op.weight @ x.flatten(2)).unflatten(2, (3, 2)),
    ),
    "conv1d": (
        lambda: Convolution(normal(4, 3, 3), normal(4), (2,), (1,), (1,)),
        [(3, 8)],
        lambda op, x: F.conv1d(x, op.weight, op.bias, 2, 1),
    ),
    "conv2d": (
        lambda: Convolution(normal(4, 3, 3, 2), normal(4), (2, 3), (1, 0), (1, 1)),
        [(3, 8, 9)],
        lambda op, x: F.conv2d(x, op.weight, op.bias, (2, 3), (1, 0)),
    ),
    "conv2d-left-over": (
        lambda: Convolution(normal(4, 3, 2, 2), None, (3, 3), (0, 1), (1, 1)),
        [(3, 7, 6)],
        lambda op, x: F.conv2d(x, op.weight, None, 3, (0, 1)),
    ),
    "conv2d-dilated": (
        lambda: Convolution(normal(4, 3, 2, 3), normal(4), (1, 2), (2, 1), (3, 2)),
        [(3, 8, 9)],
        lambda op, x: F.conv2d(x, op.weight, op.bias, (1, 2), (2, 1), (3, 2)),
    ),
    "conv2d-many-channels": (
        lambda: Convolution(normal(12, 2, 3, 2), normal(12), (2, 1), (1, 2), (1, 2)),
        [(2, 8, 5)],
        lambda op, x: F.conv2d(x, op.weight, op.bias, (2, 1), (1, 2), (1, 2)),
    ),
    "conv2d-groups": (
        lambda: Convolution(normal(6, 2, 3, 3), normal(6), (1, 1), (1, 1), (1, 1), 2),
        [(4, 5, 5)],
        lambda op, x: F.conv2d(x, op.weight, op.bias, 1, 1, 1, 2),
    ),
    "conv3d": (
        lambda: Convolution(normal(2, 2, 1, 2, 3), normal(2), (1, 2, 1), (0, 1, 1), (1, 1, 1)),
        [(2, 3, 4, 5)],
        lambda op, x: F.conv3d(x, op.weight, op.bias, (1, 2, 1), (0, 1, 1)),
    ),
    "deconv1d": (
        lambda: TransposedConvolution(normal(3, 2, 3), normal(2), (2,), (1,), (1,), (1,)),
        [(3, 5)],
        lambda op, x: F.conv_transpose1d(x, op.weight, op.bias, 2, 1, 1),
    ),
    "deconv2d": (
        lambda: TransposedConvolution(
            normal(4, 2, 3, 2), normal(4), (2, 3), (1, 0), (1, 2), (2, 1), 2
        ),
        [(4, 4, 5)],
        lambda op, x: F.conv_transpose2d(x, op.weight, op.bias, (2, 3), (1, 0), (1, 2), 2, (2, 1)),
    ),
    "deconv2d-extra": (
        # Output padding as long as the stride allows: the way back has places to spare.
        lambda: TransposedConvolution(normal(2, 2, 1, 1), None, (3, 3), (0, 0), (2, 2), (3, 3)),
        [(2, 3, 4)],
        lambda op, x: F.conv_transpose2d(x, op.weight, None, 3, 0, 2, 1, 3),
    ),
    "deconv3d": (
        lambda: TransposedConvolution(
            normal(2, 2, 2, 1, 2), None, (1,) * 3, (0,) * 3, *[(z,) * 3 for z in (0, 1)]
        ),
        [(2, 2, 3, 2)],
        lambda op, x: F.conv_transpose3d(x, op.weight),
    ),
    "scale": (lambda: Scale(normal(3, 1, 1), normal(3, 1, 1)), [(3, 2, 4)], None),
    "scale-number": (lambda: Scale(normal(1)[0], None), [(3, 2)], None),
    "shift": (lambda: Scale(None, normal(2, 4)), [(3, 2, 4)], None),
    "batch-norm": (
        lambda: batch_norm(True, 2),
        [(4, 3, 3)],
        lambda op, x: F.batch_norm(x, op.mean, op.var, op.weight, op.bias, eps=1e-3),
    ),
    "batch-norm-plain": (
        lambda: batch_norm(False, 0),
        [(4,)],
        lambda op, x: F.batch_norm(x, op.mean, op.var, eps=1e-3),
    ),
    "add": (Add, [(3, 2), (3, 2)], lambda op, x, y: x + y),
    "subtract": (Subtract, [(3, 2), (3, 2)], lambda op, x, y: x - y),
    "reshape": (lambda: Reshape((2, 6)), [(3, 4)], None),
    "concat": (lambda: Concat(1), [(2, 3), (2, 1), (2, 4)], lambda op, *xs: torch.cat(xs, 2)),
    "permute": (lambda: Sift(lambda t: t.permute(0, 2, 1)), [(2, 3)], None),
    "slice": (lambda: Sift(lambda t: t[:, ::2, 1:]), [(5, 3)], None),
    "repeated index": (lambda: Sift(lambda t: t[:, [0, 0, 2]]), [(4, 3)], None),
    "padding": (lambda: Sift(lambda t: F.pad(t, (1, 2), mode="replicate")), [(2, 5)], None),
    "average": (lambda: Sift(lambda t: F.avg_pool2d(t, 3, 2, 1)), [(2, 6, 5)], None),
    "adaptive": (lambda: Sift(lambda t: F.adaptive_avg_pool2d(t, (2, 3))), [(2, 5, 4)], None),
    "mean": (lambda: Sift(lambda t: t.mean((1, 3))), [(3, 4, 2)], None),
    "broadcast": (lambda: Sift(lambda t: t[:, None].expand(-1, 3, -1)), [(4,)], None),
    "bilinear": (
        lambda: Sift(lambda t: F.interpolate(t, scale_factor=1.5, mode="bilinear")),
        [(2, 4, 4)],
        None,
    ),
}


@pytest.mark.parametrize("name", LINEAR)
def test_forward_is_torchs(name: str) -> None:
    make, shapes, torchs = LINEAR[name]
    if torchs is not None:
        op = make()
        xs = [normal(3, *shape) for shape in shapes]
        torch.testing.assert_close(op.forward(*xs), torchs(op, *xs), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", LINEAR)
def test_transpose_is_the_adjoint(name: str) -> None:
    """<a, op(x)> = sum_i <a_i, x_i> + constant, for any a and x."""
    make, shapes, _ = LINEAR[name]
    op = make()
    assert isinstance(op, Linear)
    xs = [normal(3, *shape) for shape in shapes]
    out = op.forward(*xs)
    a = normal(3, 2, *out.shape[1:])
    parts = op.transpose(a, tuple(torch.Size(shape) for shape in shapes))
    found = torch.zeros(3, 2, dtype=torch.float64)
    for part, x in zip(parts, xs, strict=True):
        assert part is not None
        assert part.shape == (3, 2, *x.shape[1:])
        found = found + (part * x[:, None]).flatten(2).sum(2)
    constant = op.constant(a)
    found = found if constant is None else found + constant
    torch.testing.assert_close(found, (a * out[:, None]).flatten(2).sum(2), rtol=1e-10, atol=1e-10)


def box(shape: tuple[int, ...], width: float) -> Interval:
    middle, radius = normal(3, *shape), width * normal(3, *shape).abs()
    return Interval(middle - radius, middle + radius)


def members(x: Interval, count: int = 20) -> list[Tensor]:
    """Random members, corners among them."""
    ends = []
    for i in range(count):
        t = torch.rand(x.low.shape, generator=GENERATOR, dtype=torch.float64)
        t = t.round() if i % 2 else t
        ends.append(torch.where(t == 1, x.high, x.low + t * x.width))
    return ends


@pytest.mark.parametrize("width", [0.0, 1e-3, 1.0, 100.0])
@pytest.mark.parametrize("name", LINEAR)
def test_intervals_of_linear_operators_are_exact(name: str, width: float) -> None:
    """Each end is what the row of the matrix reaches at a corner, and no member is outside."""
    make, shapes, _ = LINEAR[name]
    op = make()
    boxes = [box(shape, width) for shape in shapes]
    found = op.ibp(*boxes)
    size = found.low[0].numel()
    eye = torch.eye(size, dtype=torch.float64).reshape(1, size, *found.low.shape[1:])
    eye = eye.expand(3, *eye.shape[1:])
    rows = op.transpose(eye, tuple(torch.Size(shape) for shape in shapes))
    constant = op.constant(eye)
    low = torch.zeros(3, size, dtype=torch.float64) if constant is None else constant
    high = low
    for row, x in zip(rows, boxes, strict=True):
        up, down = row.clamp(min=0), row.clamp(max=0)
        low = low + (up * x.low[:, None] + down * x.high[:, None]).flatten(2).sum(2)
        high = high + (up * x.high[:, None] + down * x.low[:, None]).flatten(2).sum(2)
    torch.testing.assert_close(found.low.flatten(1), low, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(found.high.flatten(1), high, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("width", [0.0, 1e-3, 1.0, 100.0])
@pytest.mark.parametrize("name", ELEMENTS)
def test_intervals_of_elements_are_tight(name: str, width: float) -> None:
    """The ends are the least and the largest value, up to the grid and 1e-6 at a dip."""
    op = ELEMENTS[name]
    x = box((40,), width)
    found = op.ibp(x)
    grid = x.low + torch.linspace(0, 1, 4001, dtype=torch.float64)[:, None, None] * x.width
    values = op.forward(grid)
    slack = 1e-9 + 1e-12 * values.abs().amax(0)
    assert (found.low <= values.amin(0) + slack).all()
    assert (found.high >= values.amax(0) - slack).all()
    coarse = 2e-6 + 1e-3 * width
    assert (found.low >= values.amin(0) - coarse).all()
    assert (found.high <= values.amax(0) + slack).all()


@pytest.mark.parametrize("width", [0.0, 1.0, 100.0])
def test_the_larger_of_two_is_a_sum_with_the_interval_of_the_maximum(width: float) -> None:
    x, y = box((6,), width), box((6,), width)
    r = Bend().ibp(Subtract().ibp(x, y))
    found = Larger().ibp(x, y, r)
    for one, two in zip(members(x), members(y), strict=True):
        rest = (one - two).relu()
        value = Larger().forward(one, two, rest)
        torch.testing.assert_close(value, two + rest)
        assert ((value >= found.low) & (value <= found.high)).all()
    torch.testing.assert_close(found.high, Larger().forward(x.high, y.high, r.high))
    a = normal(3, 2, 6)
    none, second, third = Larger().transpose(a, ())
    assert none is None
    assert torch.equal(second, a)
    assert torch.equal(third, a)


@pytest.mark.parametrize("width", [0.0, 1.0, 100.0])
def test_a_leak_is_a_sum_with_the_interval_of_prelu(width: float) -> None:
    weight = torch.tensor([-2.0, -0.5, 0.0, 0.4, 1.0, 3.0], dtype=torch.float64)
    op, z = Leak(weight, 1), box((6, 5), width)
    r = Bend().ibp(z)
    found = op.ibp(z, r)
    grid = z.low + torch.linspace(0, 1, 2001, dtype=torch.float64)[:, None, None, None] * z.width
    values = op.forward(grid, grid.relu())
    assert (found.low <= values.amin(0) + 1e-12).all()
    assert (found.high >= values.amax(0) - 1e-12).all()
    assert (found.low >= values.amin(0) - 0.01 * width).all()
    assert (found.high <= values.amax(0) + 1e-9).all()
    x = normal(3, 6, 5)
    value = op.forward(x, x.relu())
    torch.testing.assert_close(value, F.prelu(x, weight))
    a = normal(3, 2, 6, 5)
    one, two = op.transpose(a, ())
    total = (one * x[:, None] + two * x.relu()[:, None]).flatten(2).sum(2)
    torch.testing.assert_close(total, (a * value[:, None]).flatten(2).sum(2))
