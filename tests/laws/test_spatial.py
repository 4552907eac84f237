"""Rotations and shifts: what they do to an image, by other means, and what is refused."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates
from torch import Tensor
from torch.nn import functional

import saddlepoint as sp
from saddlepoint.audit.membership.spatial import turned
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid
from saddlepoint.core.threat import Described, Graded, Gridded

SIZES = ((1, 8, 8), (3, 5, 9), (2, 1, 7), (1, 6, 1))


def images(shape: tuple[int, ...], n: int = 4, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(0)).to(dtype)


def random_u(n: int = 4) -> Tensor:
    return torch.rand(n, 3, generator=torch.Generator().manual_seed(1)).double() * 2 - 1


def came_from(threat: sp.RotateTranslate, u: Tensor, shape: tuple[int, ...]) -> Any:  # noqa: ANN401
    """Columns and rows, (H, W) each, of the places that an image is read at."""
    _, height, width = shape
    rows, columns = np.mgrid[:height, :width]
    angle, dx, dy = u.numpy() * [math.radians(threat.degrees), threat.pixels, threat.pixels]
    # The inverse of turning about the centre and then shifting, in complex numbers.
    middle = complex((width - 1) / 2, (height - 1) / 2)
    back = (columns + 1j * rows - complex(dx, dy) - middle) * np.exp(-1j * angle) + middle
    return back.real, back.imag


@pytest.mark.parametrize("shape", SIZES, ids=str)
@pytest.mark.parametrize(("padding", "mode"), [("zero", "grid-constant"), ("reflect", "mirror")])
def test_values_are_those_of_scipy(shape: tuple[int, ...], padding: Any, mode: str) -> None:  # noqa: ANN401
    threat, x, u = sp.RotateTranslate(170, 1, padding, eps=1.0), images(shape), random_u()
    got = threat.apply(x, u).numpy()
    for i in range(len(x)):
        column, row = came_from(threat, u[i], shape)
        for channel in range(shape[0]):
            wanted = map_coordinates(x[i, channel].numpy(), [row, column], order=1, mode=mode)
            np.testing.assert_allclose(got[i, channel], wanted, atol=1e-12)


@pytest.mark.parametrize("padding", ["zero", "reflect"])
def test_the_independent_check_agrees_with_scipy(padding: str) -> None:
    threat, x, u = sp.RotateTranslate(50, 2, padding), images((2, 4, 6)), random_u()  # type: ignore[arg-type]
    mode = {"zero": "grid-constant", "reflect": "mirror"}[padding]
    for i in range(len(x)):
        angle, dx, dy = (u[i] * torch.tensor([50, 2, 2])).tolist()
        column, row = came_from(threat, u[i], (2, 4, 6))
        wanted = [map_coordinates(c, [row, column], order=1, mode=mode) for c in x[i].numpy()]
        made = turned(x[i].numpy(), angle, dx, dy, padding == "reflect")
        np.testing.assert_allclose(made, wanted, atol=1e-12)


def test_quarter_turns_and_whole_shifts_lose_nothing() -> None:
    x = images((1, 6, 6), 1)
    quarter = sp.RotateTranslate(90, 1).apply(x, torch.tensor([[1.0, 0, 0]]).double())
    torch.testing.assert_close(quarter, x.rot90(-1, (2, 3)), rtol=0, atol=1e-12)
    shifted = sp.RotateTranslate(90, 2).apply(x, torch.tensor([[0.0, 1, -0.5]]).double())
    assert torch.equal(shifted, functional.pad(x, (2, -2, -1, 1)))
    assert torch.equal(sp.RotateTranslate(1, 6).apply(x, torch.tensor([[0.0, 1, 0]])), 0 * x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16], ids=str)
@pytest.mark.parametrize("padding", ["zero", "reflect"])
def test_nothing_is_lost_where_nothing_moves(dtype: torch.dtype, padding: Any) -> None:  # noqa: ANN401
    threat = sp.RotateTranslate(30, 1, padding)
    for shape in (*SIZES, (3, 33, 64)):
        x = images(shape, dtype=dtype)
        x[0, 0, 0, 0] = 1e-7
        assert torch.equal(threat.apply(x, threat.start(x)), x)


def test_large_images_are_turned_as_exactly_as_small_ones() -> None:
    threat, x = sp.RotateTranslate(30, 3), images((1, 600, 5), 1, torch.float32)
    u = random_u(1).float()
    exact = threat.apply(x.double(), u.double())
    assert float((threat.apply(x, u) - exact).abs().max()) < 1e-6


def test_what_is_not_a_number_is_none_afterwards() -> None:
    x, u = images((1, 4, 4), 2), torch.zeros(2, 3)
    u[1, 0] = torch.nan
    moved = sp.RotateTranslate(30, 1).apply(x, u)
    assert torch.equal(moved[0], x[0])
    assert bool(moved[1].isnan().all())


def test_gradients_are_those_of_small_moves() -> None:
    threat = sp.RotateTranslate(20, 2)
    x, u = images((2, 5, 6), 2), random_u(2)
    assert torch.autograd.gradcheck(lambda v: threat.apply(x, v), u.requires_grad_(), atol=1e-6)
    assert torch.autograd.gradcheck(lambda z: threat.apply(z, u.detach()), x.requires_grad_())


def test_parameters_are_cut_one_by_one() -> None:
    threat, x = sp.RotateTranslate(30, 3, eps=0.5), images((1, 4, 4), 1)
    cut = threat.project(x, torch.tensor([[-2.0, 0.25, 0.75]]).double())
    assert cut.tolist() == [[-0.5, 0.25, 0.5]]
    assert sp.RotateTranslate(30, 0).project(x, torch.ones(1, 3)).tolist() == [[1, 0, 0]]


def test_sizes_are_shares_of_both_ranges() -> None:
    threat, x = sp.RotateTranslate(30, 2), images((1, 4, 4), 1)
    assert isinstance(threat, Graded)
    assert threat.size(x, torch.tensor([[0.5, -0.75, 0.25]])).tolist() == [0.75]
    assert threat.at(0.5).eps == 0.5
    assert threat.at(100.0).eps == 6.0  # half a turn
    assert threat.at(torch.tensor([1.0, 9.0])).eps.tolist() == [1.0, 6.0]  # type: ignore[union-attr]


def test_places_run_from_end_to_end() -> None:
    threat, x = sp.RotateTranslate(30, 2, eps=0.5), images((1, 4, 4), 3)
    assert isinstance(threat, Gridded)
    assert threat.counts == (31, 5, 5)
    t = torch.tensor([[0.0, 1, 0.5], [0.5, 0.5, 0.5], [1, 0.75, 0.25]])
    assert threat.place(x, t).tolist() == [[-0.5, 0.5, 0], [0, 0, 0], [0.5, 0.25, -0.25]]
    assert sp.RotateTranslate(30, 0).counts == (31, 1, 1)


def test_members_spread_over_the_whole_set() -> None:
    threat, x = sp.RotateTranslate(30, 2, eps=0.5), images((1, 2, 2), 500)
    u = threat.sample(x, Draw.of(0, torch.arange(500)))
    assert u.dtype == x.dtype
    low, high = u.amin(0), u.amax(0)
    assert bool(((low < -0.45) & (low >= -0.5) & (high > 0.45) & (high <= 0.5)).all())


def test_says_what_it_is_and_what_a_member_does() -> None:
    threat = sp.RotateTranslate(degrees=30, pixels=3)
    assert repr(threat) == "RotateTranslate(degrees=30, pixels=3)"
    assert isinstance(threat, Described)
    assert "30 degrees and shifted by at most 3 pixels" in threat.words
    (said,) = threat.tell(torch.tensor([[-0.5, 1.0, 0.0]]))
    assert said == "turned anticlockwise by 15.0°, shifted right by 3.0 and down by 0.0"
    (said,) = threat.tell(torch.tensor([[1.0, -0.5, -1.0]]))
    assert said == "turned clockwise by 30.0°, shifted left by 1.5 and up by 3.0"


def test_words_count_pixels() -> None:
    assert "by at most 1 pixel;" in sp.RotateTranslate(30, 1).words
    assert sp.RotateTranslate(30, 0).words.endswith("by at most 30 degrees; zeros fill the rest")
    assert sp.RotateTranslate(30, 0).tell(torch.zeros(1, 3)) == ["turned clockwise by 0.0°"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"degrees": 0}, "degrees = 0: must be a number in (0, 180]"),
        ({"degrees": 180.5}, "degrees = 180.5"),
        ({"degrees": math.nan}, "degrees = nan"),
        ({"degrees": True}, "degrees = True"),
        ({"pixels": -1}, "pixels = -1: must be a finite number >= 0"),
        ({"pixels": math.inf}, "pixels = inf"),
        ({"padding": "zeros"}, "'zero' or 'reflect'"),
        ({"box": (1.0, 0.0)}, "low < high"),
        ({"box": (1.0, 2.0)}, "use padding='reflect'"),
        ({"eps": -0.5}, "eps = -0.5"),
        ({"eps": torch.ones(2, 2)}, "a number or a"),
    ],
    ids=str,
)
def test_bad_parameters(given: dict[str, Any], words: str) -> None:
    with pytest.raises(Invalid, match="must be") as error:
        sp.RotateTranslate(**{"degrees": 30, "pixels": 3, **given})
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((16,), "images (C, H, W)"),
        ((4, 4), "images (C, H, W)"),
        ((1, 1, 1), "more than one pixel"),
        ((1, 2, 9), "at most 2, the shorter side"),
    ],
    ids=str,
)
def test_what_is_no_image_is_refused_before_any_search(shape: tuple[int, ...], words: str) -> None:
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(math.prod(shape), 2))
    x, y = torch.zeros(2, *shape), torch.zeros(2).long()
    with pytest.raises(Invalid) as error:
        sp.search(sp.WorstOf(), model, x, y, sp.RotateTranslate(30, 3))
    assert words in str(error.value)


def test_images_outside_the_box_are_refused() -> None:
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 2))
    with pytest.raises(Invalid, match="within the input range"):
        sp.search(sp.Grid(), model, 255 * images((1, 4, 4)), torch.zeros(4).long(), _SET)


_SET = sp.RotateTranslate(30, 1)
