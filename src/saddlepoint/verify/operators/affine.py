"""Sums, and elements scaled and shifted by constants: normalisation, batch norm, residuals."""

from dataclasses import dataclass

import torch
from torch import Tensor

from saddlepoint.verify.interval import Interval

__all__ = ["Add", "BatchNorm", "Scale", "Subtract"]


@dataclass(frozen=True, eq=False)
class Scale:
    """weight x + bias, element by element; both broadcast to the shape of one sample."""

    weight: Tensor | None
    bias: Tensor | None = None

    def factors(self) -> tuple[Tensor | None, Tensor | None]:
        """Weight and bias, as they broadcast to one sample."""
        return self.weight, self.bias

    def forward(self, x: Tensor) -> Tensor:
        """(B, *shape) -> (B, *shape)."""
        weight, bias = self.factors()
        x = x if weight is None else x * weight
        return x if bias is None else x + bias

    def ibp(self, x: Interval) -> Interval:
        """Ends swap where the weight is negative."""
        weight, bias = self.factors()
        low, high = x.low, x.high
        if weight is not None:
            one, two = low * weight, high * weight
            low, high = torch.minimum(one, two), torch.maximum(one, two)
        return Interval(low, high) if bias is None else Interval(low + bias, high + bias)

    def transpose(self, a: Tensor, shapes: tuple[torch.Size, ...]) -> tuple[Tensor]:
        """Coefficients times the weight."""
        weight, _ = self.factors()
        return (a if weight is None else a * weight,)

    def constant(self, a: Tensor) -> Tensor | None:
        """<a, bias>."""
        _, bias = self.factors()
        return None if bias is None else (a * bias).flatten(2).sum(2)


@dataclass(frozen=True, eq=False)
class BatchNorm(Scale):
    """Batch norm with fixed statistics, a ``Scale`` whose factors follow the live parameters."""

    mean: Tensor | None = None
    var: Tensor | None = None
    eps: float = 1e-5
    rank: int = 1  # axes after the channel

    def factors(self) -> tuple[Tensor | None, Tensor | None]:
        """gamma / sqrt(var + eps), and beta - mean times that."""
        if self.mean is None or self.var is None:
            raise TypeError("batch norm without statistics")
        scale = (self.var + self.eps).rsqrt()
        scale = scale if self.weight is None else scale * self.weight
        shift = -self.mean * scale
        shift = shift if self.bias is None else shift + self.bias
        ones = [1] * self.rank
        return scale.reshape(-1, *ones), shift.reshape(-1, *ones)


@dataclass(frozen=True)
class Add:
    """x + y, of one shape: residual connections."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """(B, *shape) twice -> (B, *shape)."""
        return x + y

    def ibp(self, x: Interval, y: Interval) -> Interval:
        """Ends add up."""
        return Interval(x.low + y.low, x.high + y.high)

    def transpose(self, a: Tensor, shapes: tuple[torch.Size, ...]) -> tuple[Tensor, Tensor]:
        """The same coefficients for both."""
        return a, a

    def constant(self, a: Tensor) -> None:
        """Nothing."""
        return


@dataclass(frozen=True)
class Subtract:
    """x - y, of one shape."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """(B, *shape) twice -> (B, *shape)."""
        return x - y

    def ibp(self, x: Interval, y: Interval) -> Interval:
        """Least minus largest, largest minus least."""
        return Interval(x.low - y.high, x.high - y.low)

    def transpose(self, a: Tensor, shapes: tuple[torch.Size, ...]) -> tuple[Tensor, Tensor]:
        """Coefficients of opposite sign."""
        return a, -a

    def constant(self, a: Tensor) -> None:
        """Nothing."""
        return
