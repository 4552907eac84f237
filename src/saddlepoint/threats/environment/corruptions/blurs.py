"""Blurs of the lens and of motion; lengths grow with the image, from one of 32 pixels."""

import math

import torch
from torch import Tensor

from saddlepoint.threats.environment.corruptions.size import unit
from saddlepoint.threats.environment.fields import angles, uniform
from saddlepoint.threats.environment.kernels import blurred, disk, gaussian, tails
from saddlepoint.threats.environment.ladder import rung

__all__ = ["defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "zoomed"]

_ZOOMS = 10  # images between no zoom and the largest


def defocus_blur(x: Tensor, level: Tensor, seeds: Tensor) -> Tensor:
    """A disk of radius r, then a little gaussian blur that smooths its edge."""
    one = unit(x)
    radius = rung(level, (0, 0.3, 0.4, 0.5, 1.0, 1.5)) * one
    sigma = rung(level, (0, 0.4, 0.5, 0.6, 0.2, 0.1)) * one
    sharp = blurred(x, disk(radius, math.ceil(1.5 * one + 0.5)))
    return blurred(sharp, gaussian(sigma, math.ceil(3 * 0.6 * one)))


def glass_blur(x: Tensor, level: Tensor, seeds: Tensor) -> Tensor:
    """Frosted glass: blurred, each pixel taken from a place beside it, once or twice, and blurred.

    Between severities that scatter once and twice, or not at all, the two images are mixed; so is
    what is scattered by less than a pixel, where images are smaller than 32.
    """
    one = unit(x)
    kernel = gaussian(rung(level, (0, 0.05, 0.25, 0.4, 0.25, 0.4)) * one, math.ceil(3 * 0.4 * one))
    rounds = rung(level, (0, 1, 1, 1, 2, 2)).view(-1, 1, 1, 1)
    seen = blurred(x, kernel)
    for k in range(2):
        there = _scattered(seen, seeds, f"glass {k}", max(1, round(one)))
        seen = seen + (rounds - k).clamp(0, 1) * min(1.0, one) * (there - seen)
    return blurred(seen, kernel)


def _scattered(x: Tensor, seeds: Tensor, tag: str, reach: int) -> Tensor:
    """Every pixel from up to ``reach`` away along each axis, at random, none beyond the rim."""
    height, width = x.shape[-2:]
    steps = (uniform(seeds, tag, 2, height, width) * (2 * reach + 1)).long().to(x.device) - reach
    rows = (torch.arange(height, device=x.device)[:, None] + steps[:, 0]).clamp(0, height - 1)
    columns = (torch.arange(width, device=x.device) + steps[:, 1]).clamp(0, width - 1)
    place = (rows * width + columns).flatten(1)[:, None].expand(-1, x.shape[1], -1)
    return x.flatten(2).gather(2, place).view_as(x)


def motion_blur(x: Tensor, level: Tensor, seeds: Tensor) -> Tensor:
    """A trail of length r that fades as a gaussian, up to 45 degrees from the row."""
    one = unit(x)
    length = rung(level, (0, 6, 6, 6, 8, 9)) * one
    sigma = rung(level, (0, 1, 1.5, 2, 2, 2.5)) * one
    return blurred(x, tails(length, sigma, angles(seeds, -45, 45), math.ceil(9 * one)))


def zoom_blur(x: Tensor, level: Tensor, seeds: Tensor) -> Tensor:
    """Mean of x and of x enlarged about its centre, by factors from 1 to the largest."""
    most = rung(level, (0, 0.05, 0.10, 0.15, 0.20, 0.25))
    total = x
    for k in range(_ZOOMS + 1):
        total = total + zoomed(x, 1 + most * (k / _ZOOMS))
    return total / (_ZOOMS + 2)


def zoomed(x: Tensor, factor: Tensor) -> Tensor:
    """Images enlarged about their centre by factors (B,)."""
    from kornia.geometry.transform import warp_affine

    height, width = x.shape[-2:]
    middle = x.new_tensor([(width - 1) / 2, (height - 1) / 2])
    grow = factor[:, None, None] * torch.eye(2, dtype=x.dtype, device=x.device)
    shift = (1 - factor)[:, None, None] * middle[:, None]
    moved: Tensor = warp_affine(
        x, torch.cat([grow, shift], 2), (height, width), padding_mode="border"
    )
    return moved
