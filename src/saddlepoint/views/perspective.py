"""A flat picture on a board that is turned before a pinhole camera."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid
from saddlepoint.core.spec import compact
from saddlepoint.views.chain import then
from saddlepoint.views.spans import Span, check_image, check_span, ends, uniform
from saddlepoint.views.warp import check_padding, matrices, warp

__all__ = ["Perspective", "inverse"]

_NEAREST = 1.5  # half sides: a corner is 1.42 from the middle, and must stay before the camera


@dataclass(frozen=True, repr=False)
class Perspective:
    """Look at the picture from aside: turn it about both axes of its plane before a camera.

    The point (X, Y, 0) of the board goes to R (X, Y, 0) + (0, 0, d), R a turn about the horizontal
    and then about the vertical axis, each by an angle ~ U(range), and is seen at d (x / z, y / z).
    degrees: a number for (-degrees, degrees), or a pair. distance: d in halves of the longer side;
    nearer is more distorted. padding, x: as for ``Rotate``. Raises ``Invalid``.

    >>> draw = Draw.of(seed=0, ids=torch.arange(1))
    >>> Perspective(40)(torch.ones(1, 1, 8, 8), draw).shape
    torch.Size([1, 1, 8, 8])
    """

    degrees: Span
    distance: float = 3.0
    padding: str = "zeros"

    def __post_init__(self) -> None:
        check_span("degrees", self.degrees, -80, 80)
        check_padding(self.padding)
        number = isinstance(self.distance, int | float) and not isinstance(self.distance, bool)
        if not number or not _NEAREST <= self.distance < math.inf:
            allowed = f"a number of at least {_NEAREST:g} half sides"
            raise Invalid("distance", self.distance, allowed, "nearer, a corner would be behind")

    __repr__ = compact
    __rshift__ = then

    @property
    def still(self) -> bool:
        """Whether the board is never turned."""
        return ends(self.degrees) == (0.0, 0.0)

    def check(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of an image; refuse others."""
        return check_image("Perspective", shape)

    def matrix(self, x: Tensor, draw: Draw) -> Tensor:
        """(B, 3, 3) the way back to the old picture."""
        pitch, yaw = (
            uniform(self.degrees, draw.tag(axis), x) * (math.pi / 180) for axis in ("pitch", "yaw")
        )
        d = self.distance
        # Columns of R for X and Y; the third row is the depth.
        there = matrices(
            d * yaw.cos(),
            d * yaw.sin() * pitch.sin(),
            0.0,
            0.0,
            d * pitch.cos(),
            0.0,
            -yaw.sin(),
            yaw.cos() * pitch.sin(),
            d,
        )
        return inverse(there)

    def __call__(self, x: Tensor, draw: Draw) -> Tensor:
        """Look at each image from aside."""
        return warp(x, self.matrix(x, draw), self.padding)


def inverse(m: Tensor) -> Tensor:
    """(B, 3, 3) inverses up to a factor, which a projective map does not mind: the adjugate.

    >>> inverse(torch.diag(torch.tensor([1.0, 2.0, 4.0]))[None])[0].diag()
    tensor([8., 4., 2.])
    """
    a, b, c = m.unbind(2)
    rows = [torch.linalg.cross(p, q) for p, q in ((b, c), (c, a), (a, b))]
    return torch.stack(rows, 1)
