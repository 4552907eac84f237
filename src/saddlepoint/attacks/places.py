"""Sets that count the places where an input changes, and what an attack may ask of them."""

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from saddlepoint.attacks.boundary import RANGE
from saddlepoint.core.access import Gradients
from saddlepoint.core.shapes import put
from saddlepoint.core.threat import Graded, radii

__all__ = ["Places", "ends", "fewest"]

_ROUNDS = 16  # enough for 65,000 values; the same for all rows, so that none pays for another


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


def fewest(oracle: Gradients[Graded], u: Tensor, least: Tensor) -> None:
    """Bisect how many places it takes, from the closest break u, of ``least`` places (B,).

    As many are kept, or others taken, as move the oracle's objective most along its gradient, each
    as far as the box lets it. A count that broke gives the point and the gradient to go on from.
    """
    low, high = torch.zeros_like(least), torch.minimum(least, radii(oracle.threat, oracle.x) + 1)
    _, g = oracle.value_and_grad(u)
    for _ in range(_ROUNDS):
        oracle, u, g, low, high = oracle.shrink(u, g, low, high)
        k = ((low + high) / 2).floor()
        here = oracle.threat.at(k)
        new = here.project(oracle.x, u + here.steepest(oracle.x, u, g))
        value, turned = oracle.value_and_grad(new)
        broken = value > 0
        u, g = put(broken, new, u), put(broken, turned, g)
        low, high = torch.where(broken, low, k), torch.where(broken, k, high)
