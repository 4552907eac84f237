"""PReLU: a leaky ReLU whose slope is a parameter."""

from dataclasses import dataclass

import torch
from torch import Tensor

from saddlepoint.verify.interval import Interval

__all__ = ["Leak"]


@dataclass(frozen=True, eq=False)
class Leak:
    """w z + (1 - w) r with r = relu(z), an own node that can be relaxed and split.

    Inputs are z and r; w is a parameter, one or one for each channel, of any sign. The interval is
    that of the function itself, which is tighter than the sum of both.
    """

    weight: Tensor
    rank: int = 0  # axes after the channel, where there is a weight for each

    def factor(self) -> Tensor:
        """w, as it broadcasts to one sample."""
        return self.weight.reshape(-1, *[1] * self.rank)

    def forward(self, z: Tensor, r: Tensor) -> Tensor:
        """(B, *shape) twice -> (B, *shape)."""
        return torch.where(z > 0, z, self.factor() * z)

    def linear(self, z: Tensor, r: Tensor) -> Tensor:
        """W z + (1 - w) r, whatever r is."""
        w = self.factor()
        return w * z + (1 - w) * r

    def ibp(self, z: Interval, r: Interval) -> Interval:
        """Ends mapped, and 0 where it lies inside: a negative weight falls and then rises."""
        one, two = self.forward(z.low, r.low), self.forward(z.high, r.high)
        low, high = torch.minimum(one, two), torch.maximum(one, two)
        inside = (z.low < 0) & (z.high > 0)
        return Interval(torch.where(inside, low.clamp(max=0), low), high)

    def transpose(self, a: Tensor, shapes: tuple[torch.Size, ...]) -> tuple[Tensor, Tensor]:
        """The coefficients times w, and times 1 - w."""
        w = self.factor()
        return a * w, a * (1 - w)

    def constant(self, a: Tensor) -> None:
        """Nothing."""
        return
