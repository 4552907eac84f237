"""Images turned, shifted, scaled and sheared."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import torch
from torch import Tensor

from saddlepoint.core.errors import Invalid
from saddlepoint.threats.environment.axis import SIGNED, Axis
from saddlepoint.threats.environment.bounds import check_bounds
from saddlepoint.threats.environment.environment import WORST, Environment
from saddlepoint.threats.environment.padding import PADDINGS, Padding
from saddlepoint.threats.toward import toward

__all__ = ["Affine"]

NAMES = ("degrees", "shift", "shift", "scale", "scale", "shear")


@dataclass(frozen=True, repr=False)
class Affine(Environment):
    """{x warped by p -> A p + t about its centre}, A a rotation, a shear and two scales.

    A = R(a) [[1, tan k], [0, 1]] diag(exp p, exp q) and t = (v, w). With u = (a, v, w, p, q, k) in
    severities, at severity 5: |a| <= ``degrees``, |v| <= ``shift`` of the width, |w| of the height,
    |p|, |q| <= log(1 + ``scale``), |k| <= ``shear`` degrees. A bound of 0 leaves its columns out of
    u. padding: what comes into view is ``zero``, or the image mirrored (``reflect``). Values are
    read bilinearly. The rest as in ``Environment``; x: (B, C, H, W) of any size but a single pixel.

    Source: Engstrom et al., 1712.02779, whose rotations and shifts are a part of it.

    >>> threat = Affine(degrees=90, shift=0, scale=0, shear=0)
    >>> x = torch.tensor([[[[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]]])
    >>> threat.apply(x, torch.tensor([[5.0]])).round().int()[0, 0].tolist()
    [[0, 0, 0], [0, 0, 1], [0, 0, 0]]
    """

    degrees: float = 30.0
    shift: float = 0.1
    scale: float = 0.2
    shear: float = 10.0
    padding: Padding = "zero"

    def __post_init__(self) -> None:
        super().__post_init__()
        largest = {"degrees": 180.0, "shift": 0.5, "scale": 1.0, "shear": 45.0}
        check_bounds(self, largest)
        if self.padding not in get_args(Padding):
            raise Invalid("padding", self.padding, "'zero' or 'reflect'")

    @property
    def words(self) -> str:
        """The set in plain words."""
        said = (
            f"turned by {self.degrees:g} degrees, shifted by {self.shift:.0%}, scaled by "
            f"{self.scale:.0%}, sheared by {self.shear:g} degrees"
        )
        return f"at severity 5 the image may be {said}; it is met up to {self.at_most}"

    def tell(self, u: Tensor) -> list[str]:
        """What becomes of each image; parameters that the set lacks are left out."""
        return [
            ", ".join(
                text
                for text, name in zip(self._said(row), NAMES, strict=True)
                if getattr(self, name) > 0
            )
            for row in (self._spread(u.double()) / WORST).tolist()
        ]

    def _said(self, share: Sequence[float]) -> tuple[str, ...]:
        """What each of six shares of the bounds does."""
        a, v, w, p, q, k = share
        return (
            "turned " + toward(a * self.degrees, "clockwise", "anticlockwise", "{:.1f}°"),
            "moved " + toward(100 * v * self.shift, "right", "left", "{:.1f} %"),
            toward(100 * w * self.shift, "down", "up", "{:.1f} %"),
            f"width times {(1 + self.scale) ** p:.2f}",
            f"height times {(1 + self.scale) ** q:.2f}",
            f"sheared by {k * self.shear:.1f}°",
        )

    def axes(self) -> tuple[Axis, ...]:
        """Return an axis for each bound above 0."""
        return tuple(SIGNED for name in NAMES if getattr(self, name) > 0)

    def render(self, x: Tensor, u: Tensor) -> Tensor:
        """Warp."""
        from kornia.geometry.transform import warp_affine

        moved: Tensor = warp_affine(
            x,
            self.matrix(u, x.shape[-2], x.shape[-1]),
            (x.shape[-2], x.shape[-1]),
            padding_mode=PADDINGS[self.padding],
            align_corners=True,
        )
        return moved

    def matrix(self, u: Tensor, height: int, width: int) -> Tensor:
        """(B, 2, 3) where the pixel (column, row, 1) of x goes."""
        share = self._spread(u) / WORST
        a, k = share[:, 0] * math.radians(self.degrees), share[:, 5] * math.radians(self.shear)
        p, q = (share[:, i] * math.log1p(self.scale) for i in (3, 4))
        sine, cosine, lean = a.sin(), a.cos(), k.tan()
        left = torch.stack([cosine, sine], 1) * p.exp()[:, None]
        right = torch.stack([cosine * lean - sine, sine * lean + cosine], 1) * q.exp()[:, None]
        turn = torch.stack([left, right], 2)
        middle = turn.new_tensor([(width - 1) / 2, (height - 1) / 2])
        shift = share[:, 1:3] * self.shift * turn.new_tensor([width, height])
        return torch.cat([turn, (middle + shift - turn @ middle)[:, :, None]], 2)

    def _spread(self, u: Tensor) -> Tensor:
        """(B, 6) all six parameters, zero where the bound is."""
        columns = iter(u.unbind(1))
        none = u.new_zeros(len(u))
        return torch.stack([next(columns) if getattr(self, n) > 0 else none for n in NAMES], 1)
