"""Adam's direction, per sample."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

__all__ = ["Adam"]

_FIRST, _SECOND, _LEAST = 0.9, 0.999, 1e-12


@dataclass(frozen=True)
class Adam:
    """Running means of a gradient and of its square (1412.6980, alg. 1); ``adam[keep]`` of rows.

    >>> adam, d = Adam.like(torch.zeros(1, 2)).step(torch.tensor([[4.0, -0.5]]))
    >>> d
    tensor([[ 1., -1.]])
    """

    mean: Tensor
    square: Tensor
    count: int = 0

    @classmethod
    def like(cls, u: Tensor) -> Self:
        """Before the first gradient."""
        return cls(torch.zeros_like(u), torch.zeros_like(u))

    def __getitem__(self, keep: Tensor) -> "Adam":
        return Adam(self.mean[keep], self.square[keep], self.count)

    def step(self, g: Tensor) -> tuple["Adam", Tensor]:
        """Return what is remembered after g, and the direction (B, *P), entries about one."""
        mean = _FIRST * self.mean + (1 - _FIRST) * g
        square = _SECOND * self.square + (1 - _SECOND) * g * g
        k = self.count + 1
        scale = (square / (1 - _SECOND**k)).sqrt() + _LEAST
        return Adam(mean, square, k), mean / (1 - _FIRST**k) / scale
