"""A ledger that keeps the closest break instead of the worst point."""

import torch
from torch import Tensor

from saddlepoint.core.ledger import Budget, Ledger, of_rows
from saddlepoint.core.shapes import INF

__all__ = ["Closest"]


class Closest(Ledger):
    """The broken parameters of smallest size for each of N rows; no break closes a row.

    size: (N,) float64, that of the closest break, infinite while there is none. Until then the row
    holds its best attempt, as in any ledger. A row that is broken unperturbed is done: nothing is
    closer.
    """

    def __init__(
        self, u: Tensor, budget: Budget, early_stop: bool = True, allowance: Tensor | None = None
    ) -> None:
        super().__init__(u, budget, early_stop, allowance)
        self.size = torch.full((len(u),), INF, dtype=torch.float64, device=u.device)

    def done(self) -> Tensor:
        """(N,) bool: rows whose break cannot come closer."""
        return self.size == 0

    def claims(self, index: Tensor | None, margin: Tensor, size: Tensor, exact: bool) -> Tensor:
        """(B,) bool: rows whose margin, if true, is a break closer than any before."""
        return (margin > 0) & (size < of_rows(self.size, index))

    def improves(self, index: Tensor | None, margin: Tensor, size: Tensor) -> Tensor:
        """(B,) bool: closer breaks, and better attempts of rows that have no break yet."""
        attempt = (margin > of_rows(self.margin, index)) & ~of_rows(self.broken, index)
        return torch.where(margin > 0, size < of_rows(self.size, index), attempt)

    def keep(
        self, index: Tensor | None, better: Tensor, u: Tensor, margin: Tensor, size: Tensor
    ) -> None:
        """Write the rows of u and margin marked ``better``, and the size of those that broke."""
        super().keep(index, better, u, margin, size)
        new = torch.where(margin > 0, size, INF)
        if index is None:
            self.size = torch.where(better, new, self.size)
        else:
            self.size[index[better]] = new[better]
