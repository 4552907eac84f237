"""Transforms of the gradient between the oracle and the step: small states, composed by PGD."""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from saddlepoint.core.errors import Invalid
from saddlepoint.core.shapes import flat, like
from saddlepoint.core.spec import compact

__all__ = ["Momentum", "Smooth", "Transform"]


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


@dataclass(frozen=True, repr=False)
class Smooth:
    """Blur the gradient by a Gaussian kernel over its last two axes (1904.02884, eq. 7).

    That is close to the mean gradient over small shifts of the input, which favours a surrogate's
    features less for where exactly they lie. sigma: of the kernel, in places along an axis; beyond
    the edge the gradient counts as zero. then: a transform of what comes out, such as a momentum.

    >>> import torch
    >>> Smooth(1.0)(torch.tensor([[0.0, 0.0, 1.0, 0.0, 0.0]]), None)[0].round(decimals=2)
    tensor([[0.0500, 0.2400, 0.4000, 0.2400, 0.0500]])
    """

    sigma: float = 1.0
    then: Transform | None = None

    __repr__ = compact

    def __post_init__(self) -> None:
        if not isinstance(self.sigma, int | float) or not 0 < self.sigma < math.inf:
            raise Invalid("sigma", self.sigma, "a positive number")
        if self.then is not None and not callable(self.then):
            raise Invalid("then", self.then, "None or a transform such as Momentum(1.0)")

    def __call__(self, g: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the blurred gradient, or what ``then`` makes of it."""
        for axis in range(max(g.dim() - 2, 1), g.dim()):
            g = self._along(g, axis)
        return (g, state) if self.then is None else self.then(g, state)

    def _along(self, g: Tensor, axis: int) -> Tensor:
        """Blur along one axis; shifted sums are the same in every batch."""
        reach = min(math.ceil(3 * self.sigma), g.shape[axis] - 1)
        weights = [math.exp(-0.5 * (k / self.sigma) ** 2) for k in range(reach + 1)]
        total = weights[0] + 2 * sum(weights[1:])
        length, out = g.shape[axis], g * (weights[0] / total)
        for k in range(1, reach + 1):
            near, far = g.narrow(axis, 0, length - k), g.narrow(axis, k, length - k)
            gap = torch.zeros_like(g.narrow(axis, 0, k))
            out = out + (torch.cat([gap, near], axis) + torch.cat([far, gap], axis)) * (
                weights[k] / total
            )
        return out
