"""Numbers given for severities 1 to 5, and for all between."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

__all__ = ["rung"]


def rung(level: Tensor, values: Sequence[float]) -> Tensor:
    """(B,) the value at each level (B,), linear between the six ``values`` at 0, 1 … 5.

    >>> rung(torch.tensor([0.5, 3.0, 5.0]), (0, 2, 3, 4, 5, 9))
    tensor([1., 4., 9.])
    """
    rise = [(b - a) * (level - k).clamp(0, 1) for k, (a, b) in enumerate(pairwise(values))]
    return torch.stack(rise).sum(0) + values[0]
