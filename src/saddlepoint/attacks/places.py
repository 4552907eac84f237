"""Sets that count the places where an input changes, and what an attack may ask of them."""

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from saddlepoint.attacks.boundary import RANGE
from saddlepoint.core.threat import Graded

__all__ = ["Places", "ends"]


@runtime_checkable
class Places(Graded, Protocol):
    """Nested sets whose size counts places: values, or pixels of several values each."""

    def gather(self, v: Tensor) -> Tensor:
        """(B, *places) sum of v (B, *P) over the values of each place."""
        ...

    def spread(self, m: Tensor, x: Tensor) -> Tensor:
        """(B, *P) the number of each place, m (B, *places), at all its values."""
        ...


def ends(threat: Graded, x: Tensor) -> tuple[Tensor, Tensor]:
    """(B, *P) each, the least and the largest u within the input range.

    >>> from saddlepoint.threats import L0
    >>> ends(L0(eps=1), torch.tensor([[0.25, 1.0]]))
    (tensor([[-0.2500, -1.0000]]), tensor([[0.7500, 0.0000]]))
    """
    whole, far = threat.at(RANGE), torch.full_like(threat.start(x), RANGE)
    return whole.project(x, -far), whole.project(x, far)
