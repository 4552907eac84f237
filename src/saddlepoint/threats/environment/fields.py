"""Random fields, a function of a seed and nothing else: what makes a corruption repeatable."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from saddlepoint.core.draw import Draw

__all__ = ["angles", "clouds", "normal", "uniform"]


def _draw(seeds: Tensor, tag: str) -> Draw:
    return Draw.of(0, seeds).tag("corruption", tag)


def normal(seeds: Tensor, tag: str, *shape: int) -> Tensor:
    """Standard normal numbers, (B, *shape) float64; equal seeds (B,) give equal numbers."""
    return _draw(seeds, tag).normal(*shape).double()


def uniform(seeds: Tensor, tag: str, *shape: int) -> Tensor:
    """Uniform numbers in [0, 1), (B, *shape) float64."""
    return _draw(seeds, tag).uniform(*shape).double()


def angles(seeds: Tensor, low: float, high: float) -> Tensor:
    """(B,) directions in radians, uniform between two in degrees."""
    return torch.deg2rad(low + (high - low) * uniform(seeds, "angle", 1)[:, 0])


def clouds(seeds: Tensor, tag: str, height: int, width: int, decay: Tensor) -> Tensor:
    """(B, 1, H, W) in [0, 1]: octaves of noise, each finer one weaker by the factor decay (B,).

    From 0 to 1 within each image.
    """
    octaves = max(1, math.ceil(math.log2(max(height, width))))
    sky = torch.zeros((), dtype=decay.dtype, device=decay.device)
    for k in range(octaves):
        noise = uniform(seeds, f"{tag} {k}", 1, 2**k + 1, 2**k + 1)
        smooth = functional.interpolate(noise, (height, width), mode="bilinear", align_corners=True)
        sky = sky + (2 * smooth - 1) * (decay ** -float(k)).view(-1, 1, 1, 1)
    low, high = sky.amin((1, 2, 3), keepdim=True), sky.amax((1, 2, 3), keepdim=True)
    return (sky - low) / (high - low).clamp(min=1e-12)
