"""Blurs of the lens and of motion; lengths grow with the image, from one of 32 pixels."""

import math

import torch
from torch import Tensor

from saddlepoint.threats.environment.corruptions.size import unit
from saddlepoint.threats.environment.fields import angles
from saddlepoint.threats.environment.kernels import blurred, disk, gaussian, tails
from saddlepoint.threats.environment.ladder import rung

__all__ = ["defocus_blur", "motion_blur", "zoom_blur", "zoomed"]

_ZOOMS = 10  # images between no zoom and the largest


def defocus_blur(x: Tensor, level: Tensor, seeds: Tensor) -> Tensor:
    """A disk of radius r, then a little gaussian blur that smooths its edge."""
    one = unit(x)
    radius = rung(level, (0, 0.3, 0.4, 0.5, 1.0, 1.5)) * one
    sigma = rung(level, (0, 0.4, 0.5, 0.6, 0.2, 0.1)) * one
    sharp = blurred(x, disk(radius, math.ceil(1.5 * one + 0.5)))
    return blurred(sharp, gaussian(sigma, math.ceil(3 * 0.6 * one)))


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
