"""Images seen from another side."""

from dataclasses import dataclass
from typing import get_args

from torch import Tensor

from saddlepoint.core.errors import Invalid
from saddlepoint.threats.environment.axis import SIGNED, Axis
from saddlepoint.threats.environment.environment import WORST, Environment
from saddlepoint.threats.environment.padding import PADDINGS, Padding

__all__ = ["Perspective"]


@dataclass(frozen=True, repr=False)
class Perspective(Environment):
    """{x warped by the homography that moves its corners by u}.

    u: (B, 8), (columns, rows) of the four corners, clockwise from the top left, in severities; at
    severity 5 a corner moves by ``distortion`` of the width and of the height. Below a quarter, the
    corners stay those of a convex quadrangle. padding: ``zero`` or ``reflect``. Values are read
    bilinearly. The rest as in ``Environment``.

    Source: Hartley and Zisserman, Multiple View Geometry, section 2.4, for homographies.

    >>> import torch
    >>> x = torch.arange(9.0).view(1, 1, 3, 3) / 9
    >>> shift = torch.tensor([[1.0, 0.0] * 4]) / 0.2 / 3 * 5  # every corner, by a pixel
    >>> (Perspective(distortion=0.2).render(x, shift) * 9).round().int()[0, 0].tolist()
    [[0, 0, 1], [0, 3, 4], [0, 6, 7]]
    """

    distortion: float = 0.15
    padding: Padding = "zero"

    def __post_init__(self) -> None:
        super().__post_init__()
        real = isinstance(self.distortion, int | float) and not isinstance(self.distortion, bool)
        if not real or not 0 < self.distortion < 0.25:
            hint = "it is the share of the side that a corner may move; from a quarter on they fold"
            raise Invalid("distortion", self.distortion, "a number in (0, 0.25)", hint)
        if self.padding not in get_args(Padding):
            raise Invalid("padding", self.padding, "'zero' or 'reflect'")

    @property
    def words(self) -> str:
        """The set in plain words."""
        return (
            f"at severity 5 each corner of the image may move by {self.distortion:.0%} of the side "
            f"and the image with it; it is met up to {self.at_most}"
        )

    def tell(self, u: Tensor) -> list[str]:
        """How far the corner that moves most moves."""
        most = u.abs().amax(1) * (100 * self.distortion / WORST)
        return [f"corners moved by up to {share:.1f} % of the side" for share in most.tolist()]

    def axes(self) -> tuple[Axis, ...]:
        """Return two axes for each corner."""
        return (SIGNED,) * 8

    def render(self, x: Tensor, u: Tensor) -> Tensor:
        """Warp."""
        from kornia.geometry.transform import get_perspective_transform, warp_perspective

        height, width = x.shape[-2:]
        right, below = width - 1, height - 1
        corners = u.new_tensor([[0, 0], [right, 0], [right, below], [0, below]])
        reach = u.new_tensor([width, height]) * (self.distortion / WORST)
        moved = corners + u.view(-1, 4, 2) * reach
        at = get_perspective_transform(corners.expand_as(moved).contiguous(), moved)
        image: Tensor = warp_perspective(
            x, at, (height, width), padding_mode=PADDINGS[self.padding], align_corners=True
        )
        return image
