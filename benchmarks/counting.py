"""Rows through a model, counted alike for every library."""

from torch import Tensor, nn

__all__ = ["Counting"]


class Counting(nn.Module):
    """Counts rows forward, and rows for which a gradient came back."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.forwards, self.backwards = inner, 0, 0

    def forward(self, x: Tensor) -> Tensor:
        """Ask the model, and count."""
        self.forwards += len(x)
        out: Tensor = self.inner(x)
        if out.requires_grad:
            out.register_hook(self._count)
        return out

    def _count(self, g: Tensor) -> None:
        self.backwards += len(g)
