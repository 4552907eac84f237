"""Transforms of the gradient between the oracle and the step: small states, composed by PGD."""

import math
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from saddlepoint.core.errors import Invalid
from saddlepoint.core.shapes import flat, like
from saddlepoint.core.spec import compact

__all__ = ["Momentum", "Transform"]


class Transform(Protocol):
    """Maps (gradient, state) to (direction, new state); the state is None at the first step."""

    def __call__(self, g: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the direction to climb and what to remember, both (B, *P)."""
        ...


@dataclass(frozen=True, repr=False)
class Momentum:
    """Accumulate normalised gradients: m <- decay m + g / ||g||_1 (1710.06081, eq. 6).

    >>> import torch
    >>> Momentum(0.5)(torch.tensor([[1.0, -3.0]]), torch.tensor([[1.0, 1.0]]))[0]
    tensor([[ 0.7500, -0.2500]])
    """

    decay: float = 0.75

    __repr__ = compact

    def __post_init__(self) -> None:
        if not 0 <= self.decay < math.inf:
            raise Invalid("decay", self.decay, "a finite number >= 0")

    def __call__(self, g: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the running sum, twice: it is the direction and the state."""
        size = flat(g).abs().sum(1)
        g = g / like(size.masked_fill(size == 0, 1), g)
        m = g if state is None else state * self.decay + g
        return m, m
