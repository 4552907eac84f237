"""Images in another light: brightness, contrast, saturation and hue."""

import math
from dataclasses import dataclass

from torch import Tensor

from saddlepoint.core.errors import Unsupported
from saddlepoint.threats.environment.axis import SIGNED, Axis
from saddlepoint.threats.environment.bounds import check_bounds
from saddlepoint.threats.environment.environment import WORST, Environment

__all__ = ["Colour"]

NAMES = ("brightness", "contrast", "saturation", "hue")


@dataclass(frozen=True, repr=False)
class Colour(Environment):
    """{x made brighter, richer in contrast and colour, of another hue, or less so}, in this order.

    With u in severities and s = u / 5: x + s ``brightness``; m + (1 + s ``contrast``) (x - m), m
    the mean of the grey image; g + (1 + s ``saturation``) (x - g), g the pixel's own grey; hue
    turned by s ``hue`` of the circle in HSV. Each result is cut to [0, 1]. A bound of 0 leaves its
    column out of u. Grey is 0.299 R + 0.587 G + 0.114 B. Images of one channel have neither
    saturation nor hue: set both to 0 for them. severity and the rest: as in ``Environment``.

    >>> import torch
    >>> threat = Colour(brightness=0.2, contrast=0, saturation=0, hue=0)
    >>> threat.apply(torch.full((1, 1, 1, 1), 0.5), torch.tensor([[2.5]])).item()
    0.6000000238418579
    """

    smallest = 1
    brightness: float = 0.2
    contrast: float = 0.3
    saturation: float = 0.5
    hue: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        check_bounds(self, {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "hue": 0.5})

    @property
    def words(self) -> str:
        """The set in plain words."""
        said = ", ".join(f"{name} by {getattr(self, name):g}" for name in self._named)
        return f"at severity 5 the image may change its {said}; it is met up to {self.at_most}"

    def tell(self, u: Tensor) -> list[str]:
        """How much each property changes."""
        texts = {"brightness": "{:+.2f}", "hue": "{:+.3f}"}
        return [
            ", ".join(
                f"{name} {texts.get(name, '{:+.0%}').format(s * getattr(self, name))}"
                for name, s in zip(self._named, row, strict=True)
            )
            for row in (u.double() / WORST).tolist()
        ]

    @property
    def _named(self) -> tuple[str, ...]:
        return tuple(name for name in NAMES if getattr(self, name) > 0)

    def axes(self) -> tuple[Axis, ...]:
        """Return an axis for each bound above 0."""
        return (SIGNED,) * len(self._named)

    def check(self, shape: tuple[int, ...]) -> None:
        """Refuse what has no colours."""
        super().check(shape)
        if shape[0] not in (1, 3):
            raise Unsupported(f"Colour changes grey or RGB images; these have {shape[0]} channels")
        if shape[0] == 1 and (self.saturation or self.hue):
            raise Unsupported(
                "grey images (1 channel) have neither saturation nor hue: use "
                f"Colour(brightness={self.brightness:g}, contrast={self.contrast:g}, "
                "saturation=0, hue=0)"
            )

    def render(self, x: Tensor, u: Tensor) -> Tensor:
        """Change one property after the other."""
        from kornia import enhance

        for name, column in zip(self._named, (u / WORST).unbind(1), strict=True):
            s = column * getattr(self, name)
            if name == "brightness":
                x = enhance.adjust_brightness(x, s)
            elif name == "contrast":
                x = enhance.adjust_contrast_with_mean_subtraction(x, 1 + s)
            elif name == "saturation":
                x = enhance.adjust_saturation_with_gray_subtraction(x, 1 + s)
            else:
                x = enhance.adjust_hue(x, s * (2 * math.pi))
        return x
