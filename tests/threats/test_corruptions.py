"""Common corruptions against what their numbers promise."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import saddlepoint as sp
from saddlepoint.threats.environment import CORRUPTIONS
from saddlepoint.threats.environment.ladder import rung

NAMES = pytest.mark.parametrize("name", list(CORRUPTIONS))


def photo(side: int = 32) -> Tensor:
    """A smooth scene with an edge, (1, 3, side, side)."""
    at = torch.linspace(0, 1, side, dtype=torch.float64)
    red = at[None, :].expand(side, side)
    green = 0.5 + 0.4 * torch.sin(9 * at)[:, None] * torch.cos(7 * at)[None, :]
    blue = ((at[:, None] - 0.5) ** 2 + (at[None, :] - 0.5) ** 2 < 0.1).double() * 0.7 + 0.1
    return torch.stack([red, green, blue])[None]


def seen(name: str, level: float, seed: int = 7, x: Tensor | None = None) -> Tensor:
    threat, x = sp.Corruption(name), photo() if x is None else x
    way = [level, float(seed)] if CORRUPTIONS[name].seeded else [level]
    return threat.apply(x, torch.tensor([way], dtype=x.dtype).expand(len(x), -1))


@NAMES
def test_the_most_severe_changes_more_than_the_mildest(name: str) -> None:
    change = [float((seen(name, s) - photo()).square().mean()) for s in (0, 0.5, 1, 5)]
    assert change[0] == 0
    if name != "elastic":  # its published numbers trade large moves for many small ones
        assert min(change[1:3]) > 0
        assert max(change[1:3]) < change[3]


@pytest.mark.slow
@NAMES
def test_between_whole_severities_nothing_jumps(name: str) -> None:
    if name == "jpeg":
        pytest.skip("coefficients are rounded: steps are what it does")
    for level in (0.3, 1.0, 2.7, 4.0):
        gap = (seen(name, level + 1e-6) - seen(name, level - 1e-6)).abs().max()
        assert float(gap) < 2e-3


@NAMES
def test_seeds_decide_where_there_are_any(name: str) -> None:
    assert torch.equal(seen(name, 3, seed=7), seen(name, 3, seed=7))
    threat = sp.Corruption(name)
    if CORRUPTIONS[name].seeded:
        assert not torch.equal(seen(name, 3, seed=7), seen(name, 3, seed=8))
        half = torch.tensor([[3.0, 7.5]])
        assert threat.contains(photo(), half, 1e-6).tolist() == [False]
        assert threat.project(photo(), half).tolist() == [[3.0, 8.0]]
    else:
        assert threat.start(photo()).shape == (1, 1)


@pytest.mark.slow
@NAMES
def test_a_sharper_camera_sees_the_same(name: str) -> None:
    """Lengths go by the side: the corruption of a larger image is the larger corruption."""
    if "noise" in name or name in ("snow", "frost", "jpeg", "elastic", "glass_blur"):
        pytest.skip("patterns are drawn pixel by pixel")
    small = torch.nn.functional.avg_pool2d(seen(name, 4, x=photo(64)), 2)
    assert float((small - seen(name, 4, x=photo(32))).abs().mean()) < 0.03


@pytest.mark.parametrize(("level", "deviation"), [(1, 0.04), (2.5, 0.07), (5, 0.10)])
def test_gaussian_noise_has_its_deviation(level: float, deviation: float) -> None:
    x = torch.full((1, 1, 64, 64), 0.5, dtype=torch.float64)
    noise = seen("gaussian_noise", level, x=x) - x
    assert float(noise.std()) == pytest.approx(deviation, rel=0.05)
    assert float(noise.mean()) == pytest.approx(0, abs=deviation / 16)


def test_shot_noise_grows_with_the_light() -> None:
    x = torch.tensor([0.0, 0.1, 0.4]).double().view(3, 1, 1, 1).expand(3, 1, 64, 64)
    noise = (seen("shot_noise", 5, x=x) - x).flatten(1).std(1)
    assert noise.tolist() == pytest.approx([0, (0.1 / 50) ** 0.5, (0.4 / 50) ** 0.5], rel=0.05)


@pytest.mark.parametrize(("level", "share"), [(1, 0.01), (3, 0.03), (5, 0.07)])
def test_impulses_hit_their_share(level: float, share: float) -> None:
    x = torch.full((1, 1, 128, 128), 0.5, dtype=torch.float64)
    hit = seen("impulse_noise", level, x=x)
    assert float(((hit - x).abs() * 2).mean()) == pytest.approx(share, rel=0.15)
    assert float((hit > 0.5).double().mean()) == pytest.approx(share / 2, rel=0.25)


def test_glass_takes_every_pixel_from_beside_it() -> None:
    """A ramp tells from where: a column away at severity 1, two at most where it is done twice."""
    x = torch.arange(64, dtype=torch.float64).expand(1, 1, 64, 64) / 64
    for level, reach in ((1, 1 * 2), (4, 2 * 2)):  # an image of 64 has lengths twice as long
        moved = (seen("glass_blur", level, x=x) - x)[..., 8:-8, 8:-8] * 64
        assert 0.75 * reach < float(moved.abs().max()) < reach + 0.01
        assert float(moved.mean()) == pytest.approx(0, abs=0.1)
        assert float(moved.std()) > reach / 4


def test_glass_scatters_small_images_by_less_than_a_pixel() -> None:
    x = torch.arange(8, dtype=torch.float64).expand(1, 1, 8, 8) / 8
    moved = (seen("glass_blur", 1, x=x) - x)[..., 1:-1] * 8
    assert float(moved.abs().max()) == pytest.approx(8 / 32, abs=1e-3)


def test_contrast_and_brightness_are_exact() -> None:
    x = photo()
    mean = x.mean((2, 3), keepdim=True)
    torch.testing.assert_close(seen("contrast", 5), mean + 0.15 * (x - mean))
    grey = x[:, 1:2]
    torch.testing.assert_close(seen("brightness", 3, x=grey), (grey + 0.15).clamp(max=1))
    torch.testing.assert_close(seen("brightness", 3).amax(1), (x.amax(1) + 0.15).clamp(max=1))


@pytest.mark.slow
@NAMES
def test_grey_and_other_channels_are_images_too(name: str) -> None:
    for channels in (1, 4):
        x = photo(16)[:, :1].expand(1, channels, 16, 16)
        moved = seen(name, 4, x=x)
        assert moved.shape == x.shape
        assert bool(moved.isfinite().all())


def test_jpeg_is_close_to_a_real_codec() -> None:
    x = (photo() * 255).round() / 255
    ours = seen("jpeg", 5, x=x)[0]
    file = io.BytesIO()
    pixels = (x[0] * 255).byte().permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(file, "JPEG", quality=40)
    theirs = torch.from_numpy(np.asarray(Image.open(file)) / 255.0).permute(2, 0, 1)
    lost = (theirs - x[0]).square().mean()
    assert float((ours - theirs).square().mean()) < float(lost)
    assert float((ours - x[0]).square().mean()) == pytest.approx(float(lost), rel=0.4)


def test_pixels_are_means_that_keep_the_light() -> None:
    x = photo()
    assert float(seen("pixelate", 5).mean()) == pytest.approx(float(x.mean()), rel=0.02)
    flat = torch.full_like(x, 0.3)
    torch.testing.assert_close(seen("pixelate", 5, x=flat), flat)


def test_a_ladder_meets_its_rungs() -> None:
    values = (0.0, 1.0, 4.0, 2.0, 2.0, 7.0)
    levels = torch.arange(6.0)
    assert rung(levels, values).tolist() == list(values)
    assert rung(levels[:5] + 0.5, values).tolist() == [0.5, 2.5, 3.0, 2.0, 4.5]
