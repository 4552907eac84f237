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
    height = torch.full_like(level, values[0])
    for k, (a, b) in enumerate(pairwise(values)):  # one by one: a sum may depend on the batch
        height = height + (b - a) * (level - k).clamp(0, 1)
    return height
