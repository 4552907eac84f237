"""An interval of tensors, the currency of bound propagation."""

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Bounds", "Interval"]


class Interval(NamedTuple):
    """Every tensor between ``low`` and ``high``, element by element; both (B, *shape)."""

    low: Tensor
    high: Tensor

    @property
    def width(self) -> Tensor:
        """(B, *shape) the distance between the ends."""
        return self.high - self.low

    def meet(self, other: "Interval") -> "Interval":
        """Return what both intervals hold.

        >>> a = Interval(torch.tensor([0.0]), torch.tensor([2.0]))
        >>> a.meet(Interval(torch.tensor([1.0]), torch.tensor([3.0])))
        Interval(low=tensor([1.]), high=tensor([2.]))
        """
        return Interval(torch.maximum(self.low, other.low), torch.minimum(self.high, other.high))

    def take(self, rows: Tensor) -> "Interval":
        """Return the intervals of the sub-batch; rows may repeat."""
        return Interval(self.low[rows], self.high[rows])


Bounds = dict[int, Interval]  # of the nodes that a function bends, by their index
