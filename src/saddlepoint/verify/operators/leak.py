"""PReLU: a leaky ReLU whose slope is a parameter."""

from dataclasses import dataclass

import torch
from torch import Tensor

from saddlepoint.verify.interval import Interval

__all__ = ["Leak"]


@dataclass(frozen=True, eq=False)
class Leak:
    """w z + (1 - w) r with r = relu(z), an own node that can be relaxed and split.

    Inputs are z and r; ``weight`` w broadcasts to one sample and may have any sign. The interval is
    that of the function itself, which is tighter than the sum of both intervals.
    """

    weight: Tensor

    def forward(self, z: Tensor, r: Tensor) -> Tensor:
        """(B, *shape) twice -> (B, *shape)."""
        return torch.where(z > 0, z, self.weight * z)

    def ibp(self, z: Interval, r: Interval) -> Interval:
        """Ends mapped, and 0 where it lies inside: a negative weight falls and then rises."""
        one, two = self.forward(z.low, r.low), self.forward(z.high, r.high)
        low, high = torch.minimum(one, two), torch.maximum(one, two)
        inside = (z.low < 0) & (z.high > 0)
        return Interval(torch.where(inside, low.clamp(max=0), low), high)

    def transpose(self, a: Tensor, shapes: tuple[torch.Size, ...]) -> tuple[Tensor, Tensor]:
        """The coefficients times w, and times 1 - w."""
        return a * self.weight, a * (1 - self.weight)

    def constant(self, a: Tensor) -> None:
        """Nothing."""
        return
