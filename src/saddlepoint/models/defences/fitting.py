"""A plain training loop for the nets inside a defence."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from saddlepoint.core.errors import Invalid
from saddlepoint.core.shapes import pieces
from saddlepoint.core.whole import require_whole

__all__ = ["Fitting"]


@dataclass(frozen=True)
class Fitting:
    """Adam with a rate that falls along a cosine, over shuffled batches.

    epochs, batch_size, lr: of the loop; the random state is the caller's, untouched.

    >>> net = nn.Linear(1, 2)
    >>> x = torch.linspace(-1, 1, 64)[:, None]
    >>> y = (x[:, 0] > 0).long()
    >>> (Fitting(epochs=50, lr=0.3).classes(net, x, y)(x).argmax(1) == y).float().mean() > 0.9
    tensor(True)
    """

    epochs: int = 6
    batch_size: int = 128
    lr: float = 2e-3
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            require_whole(name, getattr(self, name))
        if not self.lr > 0:
            raise Invalid("lr", self.lr, "a number above 0")

    def __call__(self, net: nn.Module, n: int, loss: Callable[[Tensor], Tensor]) -> nn.Module:
        """Minimise the mean of ``loss(rows)`` over rows of 0 … n-1; return the net, frozen."""
        optimizer = torch.optim.Adam(net.train().requires_grad_(True).parameters(), self.lr)
        steps = self.epochs * -(-n // self.batch_size)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        order = torch.Generator().manual_seed(self.seed)
        for _ in range(self.epochs):
            for rows in pieces(torch.randperm(n, generator=order), self.batch_size):
                optimizer.zero_grad()
                loss(rows).mean().backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
        return net.eval().requires_grad_(False)

    def classes(self, net: nn.Module, x: Tensor, y: Tensor, t: float = 1.0) -> nn.Module:
        """Minimise cross-entropy of softmax(z / t). y: (N,) classes or (N, K) their shares."""
        return self(net, len(x), lambda rows: functional.cross_entropy(net(x[rows]) / t, y[rows]))
