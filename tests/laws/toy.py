"""A set of one parameter, as a package of somebody else might bring it: all it has is the verbs."""

from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor

from saddlepoint.core.draw import Draw
from saddlepoint.core.shapes import like
from saddlepoint.core.spec import compact

__all__ = ["Shade"]


@dataclass(frozen=True, repr=False)
class Shade:
    """x' = (1 - u) x, 0 <= u <= eps: the light goes down by one factor for the whole input."""

    parametric: ClassVar[bool] = True
    eps: float | Tensor = 0.5
    box: tuple[float, float] = (0.0, 1.0)

    __repr__ = compact

    def __getitem__(self, keep: Tensor) -> Self:
        return type(self)(self.eps[keep]) if isinstance(self.eps, Tensor) else self

    def start(self, x: Tensor) -> Tensor:
        return x.new_zeros(len(x), 1)

    def sample(self, x: Tensor, draw: Draw) -> Tensor:
        return draw.uniform(1).to(x.dtype) * self._most(x)

    def project(self, x: Tensor, u: Tensor) -> Tensor:
        return u.clamp(min=0).minimum(self._most(x))

    def steepest(self, x: Tensor, u: Tensor, g: Tensor) -> Tensor:
        return g.sign() * self._most(x)

    def apply(self, x: Tensor, u: Tensor) -> Tensor:
        return x * like(1 - u[:, 0], x)

    def size(self, x: Tensor, u: Tensor) -> Tensor:
        return u[:, 0]

    def at(self, eps: float | Tensor) -> Self:
        return type(self)(eps.clamp(max=1) if isinstance(eps, Tensor) else min(eps, 1.0))

    def contains(self, x: Tensor, u: Tensor, tol: float) -> Tensor:
        v, most = u.double()[:, 0], self._most(x).double()[:, 0]
        return (v >= -tol) & (v <= most + tol)

    def _most(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.eps, dtype=x.dtype).expand(len(x))[:, None]
