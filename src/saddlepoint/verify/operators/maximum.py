"""The larger of two tensors, as a sum that knows better intervals than its parts."""

from dataclasses import dataclass

import torch
from torch import Tensor

from saddlepoint.verify.interval import Interval

__all__ = ["Larger"]


@dataclass(frozen=True)
class Larger:
    """max(x, y) = y + r with r = relu(x - y), an own node that can be relaxed and split.

    Inputs are x, y and r. As a linear function it is y + r; its interval is that of the maximum,
    which is tighter than the sum of both intervals.
    """

    def forward(self, x: Tensor, y: Tensor, r: Tensor) -> Tensor:
        """(B, *shape) thrice -> (B, *shape)."""
        return torch.maximum(x, y)

    def linear(self, x: Tensor, y: Tensor, r: Tensor) -> Tensor:
        """Y + r, whatever r is."""
        return y + r

    def ibp(self, x: Interval, y: Interval, r: Interval) -> Interval:
        """Larger of both ends."""
        return Interval(torch.maximum(x.low, y.low), torch.maximum(x.high, y.high))

    def transpose(self, a: Tensor, shapes: tuple[torch.Size, ...]) -> tuple[None, Tensor, Tensor]:
        """The coefficients of y and of r."""
        return None, a, a

    def constant(self, a: Tensor) -> None:
        """Nothing."""
        return
