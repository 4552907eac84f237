"""The goal of an inner attack on labels that were checked when the data was read."""

from dataclasses import dataclass

from saddlepoint.core.goal import Untargeted, check_index

__all__ = ["Known"]


@dataclass(frozen=True, eq=False)
class Known(Untargeted):
    """``Untargeted``, without a look at the values: every step would wait for the GPU to show them.

    label: (B,) whole numbers, of a training set that has been checked. Raises ``Invalid`` for
    another shape or type.

    >>> import torch
    >>> Known(torch.tensor([1])).margin(torch.tensor([[2.0, 5.0]]))
    tensor([-3.])
    """

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", check_index("y", self.label, values=False))
