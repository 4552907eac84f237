"""Linear maps without negative weights: reshapes, slices, concatenation, padding, averages."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from saddlepoint.verify.interval import Interval
from saddlepoint.verify.operators.operator import fold, unfold

__all__ = ["Concat", "Reshape", "Sift"]


@dataclass(frozen=True)
class Reshape:
    """Another shape for the same elements in the same order; ``shape`` is that of one sample."""

    shape: tuple[int, ...]

    def forward(self, x: Tensor) -> Tensor:
        """(B, *in) -> (B, *shape)."""
        return x.reshape(len(x), *self.shape)

    def ibp(self, x: Interval) -> Interval:
        """Both ends reshaped."""
        return Interval(self.forward(x.low), self.forward(x.high))

    def transpose(self, a: Tensor, shapes: tuple[torch.Size, ...]) -> tuple[Tensor]:
        """Coefficients in the shape of the input."""
        return (a.reshape(*a.shape[:2], *shapes[0]),)

    def constant(self, a: Tensor) -> None:
        """Nothing."""
        return


@dataclass(frozen=True, eq=False)
class Sift:
    """Any linear map whose weights are >= 0 and that has no offset, given as a function.

    ``function`` maps (B, *in) to (B, *out): a permutation, a slice, zero padding, an average.
    Both ends of an interval pass through it; the transpose is its vector-Jacobian product.
    """

    function: Callable[[Tensor], Tensor]

    def forward(self, x: Tensor) -> Tensor:
        """(B, *in) -> (B, *out)."""
        return self.function(x)

    def ibp(self, x: Interval) -> Interval:
        """Both ends mapped."""
        return Interval(self.function(x.low), self.function(x.high))

    def transpose(self, a: Tensor, shapes: tuple[torch.Size, ...]) -> tuple[Tensor]:
        """Vector-Jacobian product, which is linear in a."""
        zero = a.new_zeros(a.shape[0] * a.shape[1], *shapes[0])
        pull: Callable[[Tensor], tuple[Tensor]] = torch.func.vjp(self.function, zero)[1]
        return (unfold(pull(fold(a))[0], a),)

    def constant(self, a: Tensor) -> None:
        """Nothing."""
        return


@dataclass(frozen=True)
class Concat:
    """Inputs side by side along ``axis`` (0 is the first axis of one sample)."""

    axis: int

    def forward(self, *xs: Tensor) -> Tensor:
        """(B, *in) each -> (B, *out)."""
        return torch.cat(xs, self.axis + 1)

    def ibp(self, *xs: Interval) -> Interval:
        """Both ends side by side."""
        return Interval(self.forward(*(x.low for x in xs)), self.forward(*(x.high for x in xs)))

    def transpose(self, a: Tensor, shapes: tuple[torch.Size, ...]) -> tuple[Tensor, ...]:
        """Coefficients cut apart."""
        return torch.split(a, [shape[self.axis] for shape in shapes], self.axis + 2)

    def constant(self, a: Tensor) -> None:
        """Nothing."""
        return
