"""Images out of focus, or in motion."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from saddlepoint.core.errors import Invalid, closest
from saddlepoint.threats.environment.axis import FREE, LEVEL, Axis
from saddlepoint.threats.environment.environment import WORST, Environment
from saddlepoint.threats.environment.kernels import blurred, disk, gaussian, line

__all__ = ["Blur"]

Kind = Literal["gaussian", "motion", "defocus"]
_TAPS = 4  # points of a motion per pixel of its length
_LARGEST = 32.0  # pixels


@dataclass(frozen=True, repr=False)
class Blur(Environment):
    """{x convolved with a kernel of width up to ``pixels``}; beyond its edge the image repeats.

    kind: ``gaussian``, of standard deviation r; ``defocus``, a disk of radius r with its edge
    smoothed over a pixel, so that r <= 0.5 blurs nothing; ``motion``, a line of length r in any
    direction. u: (B, 1), the severity s of r = ``pixels`` s / 5; of a motion (B, 2), with its
    direction in quarter turns, from -1 to 1. pixels: in (0, 32]. The rest as in ``Environment``.

    >>> Blur("motion", pixels=3).start(torch.zeros(1, 1, 4, 4))
    tensor([[0., 0.]])
    """

    kind: Kind = "gaussian"
    pixels: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kind not in get_args(Kind):
            allowed = "'gaussian', 'motion' or 'defocus'"
            hint = closest(str(self.kind), get_args(Kind))
            raise Invalid("kind", self.kind, allowed, hint)
        real = isinstance(self.pixels, int | float) and not isinstance(self.pixels, bool)
        if not real or not 0 < self.pixels <= _LARGEST:
            raise Invalid("pixels", self.pixels, f"a number in (0, {_LARGEST:g}]")

    @property
    def words(self) -> str:
        """The set in plain words."""
        return (
            f"at severity 5 the image may be blurred ({self.kind}) over {self.pixels:g} pixels; "
            f"it is met up to {self.at_most}"
        )

    def tell(self, u: Tensor) -> list[str]:
        """How wide each kernel is."""
        said = [f"blurred over {s * self.pixels / WORST:.1f} pixels" for s in u[:, 0].tolist()]
        if self.kind != "motion":
            return said
        ways = (90 * u[:, 1]).tolist()
        return [f"{text} at {way:.0f}°" for text, way in zip(said, ways, strict=True)]

    def axes(self) -> tuple[Axis, ...]:
        """Return the width, and of a motion its direction."""
        return (LEVEL, FREE) if self.kind == "motion" else (LEVEL,)

    def render(self, x: Tensor, u: Tensor) -> Tensor:
        """Convolve."""
        return blurred(x, self.kernel(u))

    def kernel(self, u: Tensor) -> Tensor:
        """(B, K, K), K wide enough for the largest severity of the set."""
        width = u[:, 0] * (self.pixels / WORST)
        if self.kind == "gaussian":
            return gaussian(width, math.ceil(3 * self.pixels))
        if self.kind == "defocus":
            return disk(width, math.ceil(self.pixels + 0.5))
        taps = 2 * math.ceil(_TAPS * self.pixels / 2) + 1
        along = torch.linspace(-0.5, 0.5, taps, dtype=u.dtype, device=u.device)
        angle = u[:, 1] * (math.pi / 2)
        share = torch.full((len(u), taps), 1 / taps, dtype=u.dtype, device=u.device)
        # A hair's breadth tells the two halves of a line apart, and so has a slope at width 0.
        return line((width[:, None] + 1e-9) * along, share, angle, math.ceil(self.pixels / 2) + 1)
