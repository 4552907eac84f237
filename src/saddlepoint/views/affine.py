"""Turned, resized and moved pictures."""

import math
from dataclasses import dataclass

from torch import Tensor

from saddlepoint.core.draw import Draw
from saddlepoint.core.spec import compact
from saddlepoint.views.chain import then
from saddlepoint.views.spans import Span, check_image, check_span, ends, uniform
from saddlepoint.views.warp import check_padding, matrices, warp

__all__ = ["Rotate", "Scale", "Shift"]


@dataclass(frozen=True, repr=False)
class Rotate:
    """Turn images about their middle, counterclockwise by degrees ~ U(range).

    degrees: a number for (-degrees, degrees), or a pair. padding: what lies beyond the edge, as in
    ``torch.nn.functional.grid_sample``. x: (B, C, H, W). Raises ``Invalid``.

    >>> import torch
    >>> x, draw = torch.eye(2).view(1, 1, 2, 2), Draw.of(seed=0, ids=torch.arange(1))
    >>> Rotate((90, 90))(x, draw).round().flatten().tolist()
    [0.0, 1.0, 1.0, 0.0]
    """

    degrees: Span
    padding: str = "zeros"

    def __post_init__(self) -> None:
        check_span("degrees", self.degrees, -360, 360)
        check_padding(self.padding)

    __repr__ = compact
    __rshift__ = then

    @property
    def still(self) -> bool:
        """Whether no image is ever turned."""
        low, high = ends(self.degrees)
        return low == high and low % 360 == 0

    def check(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of an image; refuse others."""
        return check_image("Rotate", shape)

    def matrix(self, x: Tensor, draw: Draw) -> Tensor:
        """(B, 3, 3) the way back to the old picture."""
        angle = uniform(self.degrees, draw, x) * (math.pi / 180)
        cos, sin = angle.cos(), angle.sin()
        return matrices(cos, -sin, 0.0, sin, cos, 0.0, 0.0, 0.0, 1.0)

    def __call__(self, x: Tensor, draw: Draw) -> Tensor:
        """Turn each image."""
        return warp(x, self.matrix(x, draw), self.padding)


@dataclass(frozen=True, repr=False)
class Scale:
    """Magnify images about their middle by a factor ~ U(range).

    factor: a pair of positive factors, below 1 for a smaller picture. padding, x: as for
    ``Rotate``. Raises ``Invalid``.
    """

    factor: tuple[float, float]
    padding: str = "zeros"

    def __post_init__(self) -> None:
        check_span("factor", self.factor, 1e-3, 1e3, pair=True)
        check_padding(self.padding)

    __repr__ = compact
    __rshift__ = then

    @property
    def still(self) -> bool:
        """Whether the size never changes."""
        return ends(self.factor) == (1.0, 1.0)

    def check(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of an image; refuse others."""
        return check_image("Scale", shape)

    def matrix(self, x: Tensor, draw: Draw) -> Tensor:
        """(B, 3, 3) the way back to the old picture."""
        back = 1 / uniform(self.factor, draw, x)
        return matrices(back, 0.0, 0.0, 0.0, back, 0.0, 0.0, 0.0, 1.0)

    def __call__(self, x: Tensor, draw: Draw) -> Tensor:
        """Resize what each image shows."""
        return warp(x, self.matrix(x, draw), self.padding)


@dataclass(frozen=True, repr=False)
class Shift:
    """Move images right and down by shares ~ U(range) of their longer side, each by its own draw.

    share: a number for (-share, share), or a pair; padding, x: as for ``Rotate``. Raises
    ``Invalid``.
    """

    share: Span
    padding: str = "zeros"

    def __post_init__(self) -> None:
        check_span("share", self.share, -1, 1)
        check_padding(self.padding)

    __repr__ = compact
    __rshift__ = then

    @property
    def still(self) -> bool:
        """Whether no image is ever moved."""
        return ends(self.share) == (0.0, 0.0)

    def check(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of an image; refuse others."""
        return check_image("Shift", shape)

    def matrix(self, x: Tensor, draw: Draw) -> Tensor:
        """(B, 3, 3) the way back to the old picture."""
        right, down = (-2 * uniform(self.share, draw.tag(way), x) for way in ("right", "down"))
        return matrices(1.0, 0.0, right, 0.0, 1.0, down, 0.0, 0.0, 1.0)

    def __call__(self, x: Tensor, draw: Draw) -> Tensor:
        """Move each image."""
        return warp(x, self.matrix(x, draw), self.padding)
