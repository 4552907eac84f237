"""Any product with a constant: einsum and its kin."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from saddlepoint.verify.interval import Interval
from saddlepoint.verify.operators.operator import fold, unfold

__all__ = ["Product"]


@dataclass(frozen=True, eq=False)
class Product:
    """A function of x and ``weight`` that is linear in either, sums of products of their elements.

    ``function`` maps (B, *in) and the weight to (B, *out).

    >>> op = Product(lambda x, w: torch.einsum("bi,ij->bj", x, w), torch.tensor([[2.0], [-1.0]]))
    >>> op.ibp(Interval(torch.zeros(1, 2), torch.ones(1, 2)))
    Interval(low=tensor([[-1.]]), high=tensor([[2.]]))
    """

    function: Callable[[Tensor, Tensor], Tensor]
    weight: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """(B, *in) -> (B, *out)."""
        return self.function(x, self.weight)

    def ibp(self, x: Interval) -> Interval:
        """W c -+ |W| r, with c the centre of the interval and r half its width."""
        middle = self.function((x.high + x.low) / 2, self.weight)
        radius = self.function((x.high - x.low) / 2, self.weight.abs())
        return Interval(middle - radius, middle + radius)

    def transpose(self, a: Tensor, shapes: tuple[torch.Size, ...]) -> tuple[Tensor]:
        """Vector-Jacobian product, which is linear in a."""
        zero = a.new_zeros(a.shape[0] * a.shape[1], *shapes[0])
        pull: Callable[[Tensor], tuple[Tensor]] = torch.func.vjp(self.forward, zero)[1]
        return (unfold(pull(fold(a))[0], a),)

    def constant(self, a: Tensor) -> None:
        """Nothing."""
        return
