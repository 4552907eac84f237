"""Laws of every distribution of transformations: per sample, differentiable, in range, readable."""

import pytest
import torch
from torch import Tensor

from saddlepoint import views
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid
from saddlepoint.core.expectation import Distribution
from saddlepoint.presets import parse_under
from saddlepoint.views import Chain, Noise, Rotate, Scale
from tests.table import VIEWS, ViewRow, covered

ROW = pytest.mark.parametrize("row", VIEWS, ids=lambda r: r.name)
B = 5


def images(low: float = 0.0, high: float = 1.0) -> Tensor:
    rng = torch.Generator().manual_seed(3)
    unit = torch.rand(B, 3, 6, 8, generator=rng, dtype=torch.float64)
    return low + (high - low) * unit


def stream(seed: int = 0) -> Draw:
    return Draw.of(seed, torch.arange(100, 100 + B))


def test_every_part_has_a_row() -> None:
    assert set(views.__all__) <= covered()


@ROW
def test_a_sample_is_seen_alike_in_any_batch(row: ViewRow) -> None:
    x, draw = images(), stream()
    whole = row.views(x, draw)
    for keep in (torch.tensor([3]), torch.tensor([4, 0, 2])):
        assert torch.equal(row.views(x[keep], draw[keep]), whole[keep])


@ROW
def test_draws_differ_and_repeat(row: ViewRow) -> None:
    x, draw = images(), stream()
    assert isinstance(row.views, Distribution)
    assert not row.views.still
    assert torch.equal(row.views(x, draw), row.views(x, draw))
    assert not torch.equal(row.views(x, draw), row.views(x, draw.tag("other")))
    same = Draw.of(0, torch.tensor([7, 8]))
    one = x[:1].expand(2, -1, -1, -1)
    assert not torch.equal(*row.views(one, same))


@ROW
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_shape_type_and_range(row: ViewRow, dtype: torch.dtype) -> None:
    x = images().to(dtype)
    before = x.clone()
    seen = row.views(x, stream())
    assert seen.shape[1:] == row.views.check(tuple(x.shape[1:]))
    assert seen.dtype == dtype
    assert torch.equal(x, before)
    if row.name != "noise-free":
        assert float(seen.min()) >= -1e-6
        assert float(seen.max()) <= 1 + 1e-6


@ROW
def test_the_gradient_is_that_of_the_function(row: ViewRow) -> None:
    x, draw = images(0.45, 0.55), stream()
    way, step = images(-1, 1), 1e-6
    leaf = x.clone().requires_grad_()
    weight = torch.linspace(-1, 1, row.views(x, draw)[0].numel(), dtype=x.dtype)

    def value(at: Tensor) -> Tensor:
        return (row.views(at, draw).flatten(1) * weight).sum()

    (g,) = torch.autograd.grad(value(leaf), leaf)
    slope = (value(x + step * way) - value(x - step * way)) / (2 * step)
    torch.testing.assert_close((g * way).sum(), slope, rtol=1e-5, atol=1e-6)


@ROW
def test_its_text_is_read_back(row: ViewRow) -> None:
    assert parse_under(repr(row.views)) == row.views


@ROW
def test_inputs_that_are_no_images(row: ViewRow) -> None:
    if row.vectors:
        assert row.views.check((12,)) == (12,)
        assert row.views(images().flatten(1), stream()).shape == (B, 144)
        return
    for shape in ((12,), (3, 4), (1, 1, 8), (2, 3, 4, 4), (1, 8, 1)):
        with pytest.raises(Invalid, match="must be images"):
            row.views.check(shape)


def test_joining_is_associative() -> None:
    a, b, c = Rotate(10), Scale((0.9, 1.1)), Noise(0.1)
    assert (a >> b) >> c == a >> (b >> c) == Chain((a, b, c))
    assert not torch.equal((a >> c)(images(), stream()), (c >> a)(images(), stream()))


def test_a_chain_of_nothing_changes_nothing() -> None:
    x = images()
    for still in (Rotate((0, 0)), Rotate((360, 360)), Scale((1, 1)), views.Shift(0)):
        assert still.still
        torch.testing.assert_close(still(x, stream()), x, rtol=0, atol=1e-12)
    quiet = views.Perspective(0) >> Noise(0) >> views.Brightness(0) >> views.Contrast((1, 1))
    assert quiet.still
    torch.testing.assert_close(quiet(x, stream()), x, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Rotate((30, 10)), r"degrees = \(30, 10\).*in order: \(10, 30\)"),
        (lambda: Rotate(-5), "degrees = -5: must be at least 0"),
        (lambda: Rotate(float("nan")), "degrees = nan"),
        (lambda: Rotate((0, 400)), "within"),
        (lambda: Rotate(5, padding="mirror"), "padding = 'mirror'"),
        (lambda: Scale((1.2, 0.8)), "factor.*in order"),
        (lambda: Scale(0.5), r"factor = 0\.5: must be a pair"),  # type: ignore[arg-type]
        (lambda: Scale((0, 1)), "factor"),
        (lambda: views.Shift(1.5), "share"),
        (lambda: views.Perspective(85), "degrees"),
        (lambda: views.Perspective(20, distance=1.0), "distance = 1.0.*behind"),
        (lambda: Noise(-0.1), "sigma = -0.1"),
        (lambda: Noise(0.1, box=(1, 0)), "box"),
        (lambda: views.Brightness((0.2, -0.2)), "by.*in order"),
        (lambda: views.Contrast((-1, 1)), "factor"),
        (lambda: views.Render("pyramid"), "solid = 'pyramid'"),  # type: ignore[arg-type]
        (lambda: views.Render(size=0), "size = 0"),
        (lambda: views.Render(distance=(3, 2)), "distance.*in order"),
        (lambda: views.Render(distance=(1.0, 2)), "distance"),
        (lambda: views.Render(light=2), "light = 2"),
        (lambda: Chain(()), "parts"),
        (lambda: Rotate(5) >> 3, "<int>"),  # type: ignore[operator]
    ],
)
def test_bad_input(make: object, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        make()  # type: ignore[operator]
