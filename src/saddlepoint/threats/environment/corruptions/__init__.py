"""The common corruptions, by name: how an image looks at a level, and under which seed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from saddlepoint.threats.environment.corruptions import blurs, digital, noise, weather

__all__ = ["CORRUPTIONS", "Kind"]


@dataclass(frozen=True)
class Kind:
    """A corruption. render: (images (B, C, H, W) in [0, 1], levels (B,), seeds (B,)) -> images.

    seeded: whether the seed matters. smallest: pixels that the shorter side must have.
    """

    render: Callable[[Tensor, Tensor, Tensor], Tensor]
    seeded: bool = True
    smallest: int = 2


CORRUPTIONS: Mapping[str, Kind] = {
    "gaussian_noise": Kind(noise.gaussian_noise, smallest=1),
    "shot_noise": Kind(noise.shot_noise, smallest=1),
    "impulse_noise": Kind(noise.impulse_noise, smallest=1),
    "defocus_blur": Kind(blurs.defocus_blur, seeded=False),
    "glass_blur": Kind(blurs.glass_blur),
    "motion_blur": Kind(blurs.motion_blur),
    "zoom_blur": Kind(blurs.zoom_blur, seeded=False),
    "snow": Kind(weather.snow),
    "frost": Kind(weather.frost),
    "fog": Kind(weather.fog),
    "brightness": Kind(digital.brightness, seeded=False, smallest=1),
    "contrast": Kind(digital.contrast, seeded=False),
    "elastic": Kind(digital.elastic),
    "pixelate": Kind(digital.pixelate, seeded=False),
    "jpeg": Kind(digital.jpeg, seeded=False),
}
