"""Batches of any size for a module that takes one size only."""

import torch
from torch import Tensor, nn

__all__ = ["InPieces"]


class InPieces(nn.Module):
    """Run ``module`` on pieces of exactly ``size`` rows, the last one filled up with zeros.

    >>> InPieces(nn.Flatten(), 2)(torch.ones(3, 2, 2)).shape
    torch.Size([3, 4])
    """

    def __init__(self, module: nn.Module, size: int) -> None:
        super().__init__()
        self.module, self.size = module, size

    def forward(self, x: Tensor) -> Tensor:
        """Return the rows that ``module`` gives for each row of x."""
        lacking = -len(x) % self.size or (0 if len(x) else self.size)
        full = torch.cat([x, x.new_zeros(lacking, *x.shape[1:])]) if lacking else x
        return torch.cat([self.module(piece) for piece in torch.split(full, self.size)])[: len(x)]
