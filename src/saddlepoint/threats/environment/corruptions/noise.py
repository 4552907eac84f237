"""Noise of sensors: gaussian, shot, impulse."""

import torch
from torch import Tensor

from saddlepoint.threats.environment.fields import normal, uniform
from saddlepoint.threats.environment.ladder import rung

__all__ = ["gaussian_noise", "impulse_noise", "shot_noise"]

_SOFT = 0.1  # share of the impulses that are on their way


def gaussian_noise(x: Tensor, level: Tensor, seeds: Tensor) -> Tensor:
    """x + c n."""
    c = rung(level, (0, 0.04, 0.06, 0.08, 0.09, 0.10)).view(-1, 1, 1, 1)
    return x + c * normal(seeds, "gaussian_noise", *x.shape[1:])


def shot_noise(x: Tensor, level: Tensor, seeds: Tensor) -> Tensor:
    """x + sqrt(x / c) n: a Poisson count of mean c x, over c, by its mean and variance.

    Smooth in the level, which counts are not. Between severities 1 / sqrt(c) is linear.
    """
    photons = (500, 250, 100, 75, 50)
    c = rung(level, (0, *(p**-0.5 for p in photons))).view(-1, 1, 1, 1)
    return x + c * x.clamp(min=0).sqrt() * normal(seeds, "shot_noise", *x.shape[1:])


def impulse_noise(x: Tensor, level: Tensor, seeds: Tensor) -> Tensor:
    """Salt and pepper on a share c of the values.

    Each value has a share of its own from which on it is hit; a tenth of c below it, it begins to
    fade, so that the image is continuous in the level.
    """
    c = rung(level, (0, 0.01, 0.02, 0.03, 0.05, 0.07)).view(-1, 1, 1, 1)
    turn = uniform(seeds, "impulse where", *x.shape[1:])
    hit = ((c * (1 + _SOFT / 2) - turn) / (c * _SOFT).clamp(min=1e-9)).clamp(0, 1)
    salt = (uniform(seeds, "impulse what", *x.shape[1:]) < 0.5).to(x.dtype)
    return torch.lerp(x, salt, hit)
