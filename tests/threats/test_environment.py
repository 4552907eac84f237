"""Other views, light and focus, where the right image is known; and what is refused."""

import sys
from typing import Any

import pytest
import torch
from torch import Tensor

import saddlepoint as sp
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid, Missing, Unsupported
from saddlepoint.core.threat import Described


def images(channels: int = 1, height: int = 5, width: int = 5, n: int = 2) -> Tensor:
    rng = torch.Generator().manual_seed(0)
    return torch.rand(n, channels, height, width, generator=rng, dtype=torch.float64)


def rows(*values: float) -> Tensor:
    return torch.tensor([values, values], dtype=torch.float64)


@pytest.mark.parametrize("quarter", [1, 2, -1])
def test_a_quarter_turn_is_exact(quarter: int) -> None:
    x = images()
    turned = sp.Affine(degrees=180, shift=0, scale=0, shear=0).apply(x, rows(2.5 * quarter))
    torch.testing.assert_close(turned, torch.rot90(x, -quarter, (2, 3)))


def test_a_shift_by_whole_pixels_moves_them() -> None:
    x = images(height=4, width=5)
    threat = sp.Affine(degrees=0, shift=0.2, scale=0, shear=0)
    moved = threat.apply(x, rows(5, -5 / 0.8))  # a column to the right, a row up
    torch.testing.assert_close(moved[..., :-1, 1:], x[..., 1:, :-1])
    assert bool((moved[..., -1, :] == 0).all())
    mirrored = sp.Affine(degrees=0, shift=0.2, scale=0, shear=0, padding="reflect")
    torch.testing.assert_close(mirrored.apply(x, rows(5, 0))[..., 0], x[..., 1])


def test_scale_and_shear_keep_the_centre_and_a_shear_keeps_its_row() -> None:
    x = images()
    threat = sp.Affine(degrees=0, shift=0, scale=0.5, shear=45)
    moved = threat.apply(x, rows(3, -2, 4))
    torch.testing.assert_close(moved[..., 2, 2], x[..., 2, 2])
    sheared = threat.apply(x, rows(0, 0, 5))
    torch.testing.assert_close(sheared[..., 2, :], x[..., 2, :])
    torch.testing.assert_close(sheared[..., 3, 1:], x[..., 3, :-1])


def test_corners_that_move_alike_shift_the_image() -> None:
    x = images(height=6, width=6)
    shifted = sp.Affine(degrees=0, shift=0.2, scale=0, shear=0).apply(x, rows(3, -4))
    seen = sp.Perspective(distortion=0.2).apply(x, rows(*(3, -4) * 4))
    torch.testing.assert_close(seen, shifted)


def test_a_corner_goes_where_it_is_told() -> None:
    x = torch.zeros(1, 1, 21, 21, dtype=torch.float64)
    x[..., 0, 0] = 1
    u = torch.tensor([[5.0, 5.0, 0, 0, 0, 0, 0, 0]], dtype=torch.float64)
    moved = sp.Perspective(distortion=2 / 21).apply(x, u)
    assert moved[0, 0, 2, 2] == pytest.approx(1)
    assert float(moved.sum()) < 2


def test_light_changes_as_it_says() -> None:
    x = 0.3 + 0.2 * images(3)
    both = sp.Colour(brightness=0.1, contrast=0.5, saturation=0, hue=0)
    torch.testing.assert_close(both.apply(x, rows(-5, 0)), x - 0.1)
    richer = both.apply(x, rows(0, 5))
    torch.testing.assert_close(
        richer - x, (richer - x).mean() + 0.5 * (x - x.mean()), atol=0.2, rtol=0
    )
    grey = sp.Colour(brightness=0, contrast=0, saturation=1, hue=0).apply(x, rows(-5))
    torch.testing.assert_close(grey[:, 0], grey[:, 2])
    third = sp.Colour(brightness=0, contrast=0, saturation=0, hue=0.5)
    torch.testing.assert_close(third.apply(x, rows(10 / 3)), x.roll(1, 1))  # red becomes green


@pytest.mark.parametrize("kind", ["gaussian", "motion", "defocus"])
def test_blurs_keep_the_light(kind: Any) -> None:  # noqa: ANN401
    x = torch.zeros(2, 1, 15, 15, dtype=torch.float64)
    x[..., 7, 7] = 1
    threat = sp.Blur(kind, pixels=2)
    widest = threat.place(x, torch.ones(2, len(threat.axes())))
    blurred = threat.apply(x, widest)
    torch.testing.assert_close(blurred.sum((1, 2, 3)), torch.ones(2, dtype=torch.float64))
    assert bool((blurred[..., 7, 7] < 1).all())
    flat = torch.full_like(x, 0.4)
    torch.testing.assert_close(threat.apply(flat, widest), flat)


def test_kernels_are_as_wide_as_they_say() -> None:
    x = torch.zeros(1, 1, 21, 21, dtype=torch.float64)
    x[..., 10, 10] = 1
    at = torch.arange(21.0).double() - 10
    wide = sp.Blur("gaussian", pixels=2).apply(x, torch.tensor([[5.0]]).double())
    assert float((wide[0, 0].sum(0) * at**2).sum()) == pytest.approx(4, rel=0.03)
    line = sp.Blur("motion", pixels=6).apply(x, torch.tensor([[5.0, 0.0]]).double())
    assert float(line[0, 0, 10].sum()) == pytest.approx(1)
    assert float((line[0, 0, 10] * at**2).sum()) == pytest.approx(36 / 12, rel=0.2)
    disk = sp.Blur("defocus", pixels=4).apply(x, torch.tensor([[5.0]]).double())
    assert float((disk[0, 0].sum(0) * at**2).sum()) == pytest.approx(16 / 4, rel=0.05)


def test_members_are_told_in_words() -> None:
    for threat, u, words in (
        (
            sp.Affine(scale=0.5, shear=0),
            (2.5, 5, -5, 5, -5),
            "turned clockwise by 15.0°, moved right by 10.0 %, up by 10.0 %, "
            "width times 1.50, height times 0.67",
        ),
        (sp.Perspective(), (0, 0, 0, -2.5, 0, 0, 0, 1), "corners moved by up to 7.5 % of the side"),
        (sp.Colour(hue=0), (-5, 2, 0), "brightness -0.20, contrast +12%, saturation +0%"),
        (sp.Blur("motion"), (2.5, 0.5), "blurred over 1.0 pixels at 45°"),
        (sp.Blur(), (5,), "blurred over 2.0 pixels"),
        (sp.Corruption("shot_noise"), (1.5, 7), "shot noise of severity 1.5, pattern 7"),
        (sp.Corruption("jpeg"), (3,), "jpeg of severity 3.0"),
    ):
        assert threat.tell(rows(*u)) == [words] * 2
        assert "up to severity 5" in threat.words
        assert "up to severity 2" in threat.at(2.0).words
        assert isinstance(threat, Described)


SMOOTH = (
    sp.Affine(padding="reflect"),
    sp.Perspective(),
    sp.Colour(),
    sp.Blur("gaussian"),
    sp.Blur("motion"),
    sp.Corruption("fog"),
    sp.Corruption("pixelate"),
)


@pytest.mark.parametrize("threat", SMOOTH, ids=repr)
def test_gradients_are_differences(threat: Any) -> None:  # noqa: ANN401
    x = images(3, 6, 7)
    u = threat.sample(x, Draw.of(1, torch.arange(2))).requires_grad_()
    weight = images(3, 6, 7).flip(0)
    (g,) = torch.autograd.grad((threat.apply(x, u) * weight).sum(), u)
    count = sum(not a.whole for a in threat.axes())
    for i in range(count):
        step = torch.zeros_like(u)
        step[:, i] = 1e-6
        up, down = (threat.apply(x, (u + s).detach()) * weight for s in (step, -step))
        slope = (up - down).sum((1, 2, 3)) / 2e-6
        torch.testing.assert_close(g[:, i], slope, rtol=1e-4, atol=1e-6)


def test_a_start_has_the_gradient_of_its_neighbours() -> None:
    """The image is x itself there, bit for bit, and yet an attack can leave it."""
    threat, x = sp.Affine(), images(1, 8, 8).float()
    u = threat.start(x).requires_grad_()
    moved = threat.apply(x, u)
    assert torch.equal(moved, x)
    (g,) = torch.autograd.grad((moved * torch.linspace(0, 1, 8)).sum(), u)
    assert bool((g != 0).all())


def test_another_input_range_is_a_change_of_units() -> None:
    x = images(3)
    for name in ("fog", "jpeg"):
        unit, wide = sp.Corruption(name), sp.Corruption(name, box=(-1.0, 3.0))
        u = unit.sample(x, Draw.of(0, torch.arange(2)))
        torch.testing.assert_close(wide.apply(x * 4 - 1, u), unit.apply(x, u) * 4 - 1)


@pytest.mark.parametrize("severity", [-0.1, 5.5, float("nan"), "3", True, torch.tensor([2.0, 7.0])])
def test_severities_outside_their_range_are_refused(severity: Any) -> None:  # noqa: ANN401
    with pytest.raises(Invalid, match=r"severity = .*must be"):
        sp.Corruption("fog", severity=severity)


def test_a_bad_severity_is_named_with_what_is_allowed() -> None:
    said = r"severity = 6: must be in \[0, 5\]; 5 is the most severe, 0 changes nothing"
    with pytest.raises(Invalid, match=said):
        sp.Affine(severity=6)
    assert sp.Affine().at(9.0).severity == 5


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: sp.Affine(degrees=200), r"degrees = 200: must be a number in \[0, 180\]"),
        (lambda: sp.Affine(degrees=0, shift=0, scale=0, shear=0), "nothing could change"),
        (lambda: sp.Affine(padding="zeros"), "'zero' or 'reflect'"),
        (lambda: sp.Perspective(distortion=0.25), "from a quarter on they fold"),
        (lambda: sp.Perspective(padding="wrap"), "'zero' or 'reflect'"),
        (lambda: sp.Colour(hue=0.6), r"hue = 0.6: must be a number in \[0, 0.5\]"),
        (lambda: sp.Blur("gausian"), "did you mean gaussian"),
        (lambda: sp.Blur(pixels=0), r"pixels = 0: must be a number in \(0, 32\]"),
        (lambda: sp.Corruption("fogg"), "did you mean fog"),
        (lambda: sp.Corruption("fog", box=(0, float("inf"))), "finite"),
        (lambda: sp.Corruption("fog", box=(1, 0)), "low < high"),
    ],
)
def test_bad_arguments_are_named(make: Any, words: str) -> None:  # noqa: ANN401
    with pytest.raises(Invalid, match=words):
        make()


def test_grey_images_have_no_colours() -> None:
    x = torch.full((1, 1, 2, 2), 0.5)
    with pytest.raises(Unsupported, match="neither saturation nor hue: use Colour") as refused:
        sp.Colour().start(x)
    advised = str(refused.value).split("use ")[1]
    assert advised == "Colour(brightness=0.2, contrast=0.3, saturation=0, hue=0)"
    assert sp.Colour(brightness=0.2, contrast=0.3, saturation=0, hue=0).start(x).shape == (1, 2)
    with pytest.raises(Unsupported, match="2 channels"):
        sp.Colour(saturation=0, hue=0).start(torch.zeros(1, 2, 4, 4))


@pytest.mark.parametrize(
    "threat",
    [sp.Affine(), sp.Perspective(), sp.Blur(), *map(sp.Corruption, ("elastic", "fog", "contrast"))],
    ids=repr,
)
def test_a_single_pixel_has_no_neighbours(threat: Any) -> None:  # noqa: ANN401
    with pytest.raises(Invalid, match=r"images of shape \(1, 1, 1\).*at least 2 pixels"):
        threat.start(torch.zeros(1, 1, 1, 1))
    with pytest.raises(Invalid, match=r"inputs of shape \(5,\)>: must be images"):
        threat.start(torch.zeros(2, 5))


@pytest.mark.parametrize("name", ["gaussian_noise", "impulse_noise", "brightness"])
def test_a_single_pixel_can_be_noisy(name: str) -> None:
    threat, x = sp.Corruption(name), torch.full((2, 1, 1, 1), 0.5)
    assert threat.apply(x, threat.sample(x, Draw.of(0, torch.arange(2)))).shape == x.shape


def test_without_kornia_the_install_line_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kornia", None)
    with pytest.raises(Missing, match=r"pip install 'saddlepoint\[environment\]'"):
        sp.Affine().start(torch.zeros(1, 1, 4, 4))
