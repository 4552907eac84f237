"""Snow, frost and fog, drawn from noise: no photographs are needed."""

import math

import torch
from torch import Tensor

from saddlepoint.threats.environment.corruptions.blurs import zoomed
from saddlepoint.threats.environment.corruptions.size import unit
from saddlepoint.threats.environment.fields import angles, clouds, normal
from saddlepoint.threats.environment.kernels import blurred, tails
from saddlepoint.threats.environment.ladder import rung

__all__ = ["fog", "frost", "grey", "snow"]


def _broad(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)


def grey(x: Tensor) -> Tensor:
    """(B, 1, H, W) the luma of RGB images; the mean of other channels."""
    if x.shape[1] != 3:
        return x.mean(1, keepdim=True)
    from kornia.color import rgb_to_grayscale

    luma: Tensor = rgb_to_grayscale(x)
    return luma


def fog(x: Tensor, level: Tensor, seeds: Tensor) -> Tensor:
    """(x + c f) m / (m + c), m the largest value of x and f clouds whose octaves fade by d."""
    c = _broad(rung(level, (0, 0.2, 0.5, 0.75, 1.0, 1.5)))
    fade = rung(level, (3, 3, 3, 2.5, 2, 1.75))
    most = x.amax((1, 2, 3), keepdim=True)
    sky = clouds(seeds, "fog", x.shape[-2], x.shape[-1], fade)
    return (x + c * sky) * most / (most + c).clamp(min=1e-12)


def frost(x: Tensor, level: Tensor, seeds: Tensor) -> Tensor:
    """A x + b ice: crystals along the ridges of clouds, on a pale ground."""
    a = _broad(rung(level, (1, 1, 1, 0.9, 0.85, 0.75)))
    b = _broad(rung(level, (0, 0.2, 0.3, 0.4, 0.4, 0.45)))
    rough = torch.full_like(level, 1.6)
    ridge = clouds(seeds, "frost", x.shape[-2], x.shape[-1], rough)
    veil = clouds(seeds, "ice", x.shape[-2], x.shape[-1], rough)
    ice = 0.5 * veil + 0.5 * (1 - (2 * ridge - 1).abs()) ** 4
    return a * x + b * ice


def snow(x: Tensor, level: Tensor, seeds: Tensor) -> Tensor:
    """Flakes that fall aslant, over an image that is brighter and paler by 1 - w.

    Flakes are noise of mean m and deviation s, enlarged by z, where it exceeds t; a flake grows out
    of nothing over a tenth of brightness, so that the image is continuous in the level. The layer
    and its half turn are added.
    """
    one = unit(x)
    columns = (
        (0, 0.1, 0.1, 0.15, 0.25, 0.3),
        (0, 0.2, 0.2, 0.3, 0.3, 0.3),
        (1, 1, 1, 1.75, 2.25, 1.25),
        (1, 0.6, 0.5, 0.55, 0.6, 0.65),
        (8, 8, 10, 10, 12, 14),
        (3, 3, 4, 4, 6, 12),
        (1, 0.95, 0.9, 0.9, 0.85, 0.8),
    )
    mean, deviation, zoom, least, length, sigma, weight = (rung(level, c) for c in columns)
    noise = normal(seeds, "snow", 1, *x.shape[2:])
    layer = zoomed(_broad(mean) + _broad(deviation) * noise, zoom)
    layer = (layer * ((layer - _broad(least)) / 0.1).clamp(0, 1)).clamp(0, 1)
    trail = tails(length * one, sigma * one, angles(seeds, -135, -45), math.ceil(14 * one))
    layer = blurred(layer, trail)
    pale = torch.maximum(x, 1.5 * grey(x) + 0.5)
    return torch.lerp(pale, x, _broad(weight)) + layer + layer.flip((2, 3))
