"""The goal of an inner attack on labels that were checked when the data was read."""

from dataclasses import dataclass

from saddlepoint.core.goal import Untargeted

__all__ = ["Known"]


@dataclass(frozen=True, eq=False)
class Known(Untargeted):
    """``Untargeted``, without a look at the values: every step would wait for the GPU to show them.

    label: (B,) int64, of a training set that has been checked.

    >>> import torch
    >>> Known(torch.tensor([1])).margin(torch.tensor([[2.0, 5.0]]))
    tensor([-3.])
    """

    def __post_init__(self) -> None:
        """Nothing is checked again."""
