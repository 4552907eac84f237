"""Normalisation as the first layer, so that everything outside the model lives in [0, 1]."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from saddlepoint.core.errors import Invalid

__all__ = ["Normalize"]


class Normalize(nn.Module):
    """Map x to ``(x - mean) / std``, one mean and standard deviation per channel.

    x is (B, C, H, W), or (B, C) when ``rank`` is 2; ``mean`` and ``std`` have C entries and are
    buffers of shape (1, C, 1, 1) or (1, C). Raises ``Invalid`` for lengths that differ, values that
    are not finite, a standard deviation that is not positive, and inputs of another shape.

    >>> layer = Normalize(mean=[0.5], std=[0.25])
    >>> layer(torch.tensor([[[[0.0, 0.5, 1.0]]]])).flatten().tolist()
    [-2.0, 0.0, 2.0]
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float], rank: int = 4) -> None:
        super().__init__()
        if len(mean) == 0 or not all(map(math.isfinite, mean)):
            raise Invalid("mean", list(mean), "finite numbers, one per channel")
        if len(std) != len(mean):
            raise Invalid("std", list(std), f"{len(mean)} numbers, as many as mean has")
        if not all(math.isfinite(s) and s > 0 for s in std):
            raise Invalid("std", list(std), "finite numbers above 0, one per channel")
        if rank not in (2, 3, 4, 5):
            raise Invalid("rank", rank, "2 (B, C), 3, 4 (B, C, H, W) or 5")
        shape = (1, len(mean)) + (1,) * (rank - 2)
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(shape))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(shape))

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised x, of the same shape."""
        if x.dim() != self.mean.dim() or x.shape[1] != self.mean.shape[1]:
            wanted = "(B, " + ", ".join(
                [str(self.mean.shape[1]), "H", "W", "D"][: self.mean.dim() - 1]
            )
            raise Invalid("x.shape", tuple(x.shape), wanted + ")")
        return (x - self.mean) / self.std

    def extra_repr(self) -> str:
        """Return what ``repr`` shows between the parentheses."""
        return f"mean={self.mean.flatten().tolist()}, std={self.std.flatten().tolist()}"
