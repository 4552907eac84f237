"""Geometry whose result is known: quarter turns, whole pixels, silhouettes, faces."""

import math

import pytest
import torch
from torch import Tensor

from saddlepoint.core.draw import Draw
from saddlepoint.views import Perspective, Render, Rotate, Scale, Shift
from saddlepoint.views.perspective import inverse

ONE = Draw.of(0, torch.arange(1))
FIELD = math.tan(math.radians(25))


def picture(height: int = 8, width: int = 8) -> Tensor:
    rng = torch.Generator().manual_seed(1)
    return torch.rand(1, 2, height, width, generator=rng, dtype=torch.float64)


@pytest.mark.parametrize("quarter", [1, 2, 3])
def test_quarter_turns_are_exact_and_counterclockwise(quarter: int) -> None:
    x, angle = picture(), 90.0 * quarter
    seen = Rotate((angle, angle))(x, ONE)
    torch.testing.assert_close(seen, x.rot90(quarter, (2, 3)), rtol=0, atol=1e-6)


def test_a_joined_turn_is_sampled_once() -> None:
    x = picture()
    chain = Rotate((20, 20)) >> Rotate((30, 30)) >> Rotate((40, 40))
    torch.testing.assert_close(chain(x, ONE), x.rot90(1, (2, 3)), rtol=0, atol=1e-6)


def test_whole_pixels_move_without_loss() -> None:
    x = picture()
    seen = Shift((0.25, 0.25))(x, ONE)
    torch.testing.assert_close(seen[..., 2:, 2:], x[..., :-2, :-2], rtol=0, atol=1e-9)
    assert not seen[..., :2, :].any()
    assert not seen[..., :, :2].any()


def test_the_order_of_geometric_parts_is_kept() -> None:
    x = picture()
    there, turn = Shift((0.25, 0.25)), Rotate((90, 90))
    # Right and down, then a quarter turn: right becomes up, down becomes right.
    seen = (there >> turn)(x, ONE)
    torch.testing.assert_close(seen, there(x, ONE).rot90(1, (2, 3)), rtol=0, atol=1e-6)
    other = (turn >> there)(x, ONE)
    torch.testing.assert_close(other, there(x.rot90(1, (2, 3)), ONE), rtol=0, atol=1e-6)


def test_a_magnified_picture_shows_its_middle() -> None:
    x = picture(9, 9)
    seen = Scale((3, 3))(x, ONE)
    torch.testing.assert_close(seen[..., 1::3, 1::3], x[..., 3:6, 3:6], rtol=0, atol=1e-6)


def test_a_turned_rectangle_keeps_its_form() -> None:
    x = torch.zeros(1, 1, 4, 8, dtype=torch.float64)
    x[..., 1:3, 2:6] = 1
    seen = Rotate((90, 90))(x, ONE)
    assert seen[..., :, 3:5].min() > 0.99
    assert seen[..., :, [0, 1, 6, 7]].max() < 0.01


def test_a_tilted_board_is_smaller_far_away() -> None:
    x = torch.ones(1, 1, 64, 64, dtype=torch.float64)
    left_edges = []
    for k in range(12):
        seen = Perspective((40, 40), distance=2.0)(x, ONE.tag(k))[0, 0]
        left_edges.append((float(seen[:, 20].sum()), float(seen[:, 44].sum())))
    assert all(a != b for a, b in left_edges)
    assert 0 < float(seen.mean()) < 1


def test_the_homography_is_undone_by_its_inverse() -> None:
    m = torch.rand(4, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    both = m @ inverse(m)
    scale = both[:, 0, 0].view(-1, 1, 1)
    torch.testing.assert_close(both / scale, torch.eye(3).double().expand(4, 3, 3))


def still(solid: str, **more: object) -> Render:
    usual: dict[str, object] = {
        "size": 64,
        "yaw": 0,
        "pitch": 0,
        "roll": 0,
        "distance": (3.0, 3.0),
        "background": (0.0, 0.0),
        "light": 0,
        "lamp": 0,
    }
    return Render(solid, **usual | more)  # type: ignore[arg-type]


def area(solid: str) -> float:
    """Share of the picture that the solid covers, in closed form."""
    if solid == "sphere":  # a cone of sight: the circle of radius tan(asin(1 / d))
        return math.pi * (1 / math.sqrt(3.0**2 - 1) / FIELD) ** 2 / 4
    return (0.75 / (3.0 - 0.75) / FIELD) ** 2  # the front face


@pytest.mark.parametrize("solid", ["sphere", "cube"])
def test_silhouettes_have_their_area(solid: str) -> None:
    seen = still(solid)(torch.ones(1, 1, 8, 8, dtype=torch.float64), ONE)
    assert float(seen.mean()) == pytest.approx(area(solid), rel=0.02)


def test_a_cube_shows_its_texture_on_four_sides() -> None:
    x = picture(16, 16)
    front = still("cube")(x, ONE)
    edge = 0.75 / (3.0 - 0.75) / FIELD  # of the face, as a share of the half picture
    face = torch.nn.functional.interpolate(x, size=round(64 * edge), mode="bilinear")
    cut = (64 - face.shape[-1]) // 2
    inner = front[..., cut : cut + face.shape[-1], cut : cut + face.shape[-1]]
    assert float((inner - face).abs().mean()) < 0.02
    for angle in (90, 180, -90):
        side = still("cube", yaw=(angle, angle))(x, ONE)
        torch.testing.assert_close(side, front, atol=2e-3, rtol=0)


def test_the_middle_of_the_texture_faces_the_viewer() -> None:
    x = torch.zeros(1, 1, 9, 9, dtype=torch.float64)
    x[..., 4, 4] = 1
    for solid in ("sphere", "cylinder", "cube"):
        seen = still(solid, repeat=1)(x, ONE)[0, 0]
        assert float(seen[31:33, 31:33].mean()) > 0.8
        assert float(seen[:16].max()) == 0


def test_texture_goes_right_and_down_as_seen() -> None:
    ramp = torch.linspace(0.1, 1, 16, dtype=torch.float64)
    for solid in ("sphere", "cylinder", "cube"):
        across = still(solid, repeat=1)(ramp.expand(1, 1, 16, 16), ONE)[0, 0, 32, 20:44]
        down = still(solid, repeat=1)(ramp[:, None].expand(1, 1, 16, 16), ONE)[0, 0, 20:44, 32]
        assert bool((across.diff() > 0).all())
        assert bool((down.diff() > 0).all())


def test_a_turn_about_the_axis_moves_the_texture_along() -> None:
    ramp = torch.linspace(0, 1, 16, dtype=torch.float64).expand(1, 1, 16, 16)
    at_rest = still("sphere", repeat=1)(ramp, ONE)[0, 0, 32, 32]
    turned = still("sphere", repeat=1, yaw=(30, 30))(ramp, ONE)[0, 0, 32, 32]
    assert float((turned - at_rest).abs()) == pytest.approx(30 / 360 * 16 / 15, abs=0.01)


def test_roll_turns_the_picture() -> None:
    x = picture(16, 16)
    front, rolled = (still("cube", roll=(a, a))(x, ONE) for a in (0, 90))
    same = [torch.allclose(rolled, front.rot90(k, (2, 3)), atol=1e-3) for k in (1, 3)]
    assert sum(same) == 1


def test_lids_carry_no_texture() -> None:
    x = torch.ones(1, 1, 4, 4, dtype=torch.float64)
    above = still("cylinder", pitch=(90, 90))(x, ONE)[0, 0]
    assert float(above[32, 32]) == 0.5
    below = still("cylinder", pitch=(-90, -90))(x, ONE)[0, 0]
    assert float(below[32, 32]) == 0.5


def test_light_falls_off_with_the_angle() -> None:
    x = torch.ones(1, 1, 4, 4, dtype=torch.float64)
    seen = still("sphere", light=1.0)(x, ONE)[0, 0]
    assert float(seen[32, 32]) == pytest.approx(1, abs=0.01)
    inside = seen[32][seen[32] > 0]
    assert bool((inside[: len(inside) // 2].diff() > -1e-3).all())
    assert float(inside[1]) < 0.6


def test_pictures_are_linear_in_the_texture() -> None:
    a, b = picture(), picture().flip(3)
    draw = ONE.tag("any")
    for solid in ("sphere", "cylinder", "cube"):
        view = Render(solid, size=16, background=(0, 0))  # type: ignore[arg-type]
        dark = view(torch.zeros_like(a), draw)
        both = view(0.3 * a + 0.7 * b, draw) - dark
        parts = [view(one, draw) - dark for one in (a, b)]
        torch.testing.assert_close(both, 0.3 * parts[0] + 0.7 * parts[1])
