"""Adam (1412.6980), as small as bounds need it."""

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["Adam"]


class Adam:
    """Descend on ``values`` in place, each at its own rate, all rates falling by ``decay`` a step.

    ``torch.optim`` does the same and loads the compiler first, which takes longer than most bounds.

    >>> x = torch.ones(1)
    >>> Adam([x], [0.5]).step([torch.ones(1)])
    >>> x
    tensor([0.5000])
    """

    first, second, least = 0.9, 0.999, 1e-8

    def __init__(
        self, values: Sequence[Tensor], rates: Sequence[float], decay: float = 1.0
    ) -> None:
        self.values, self.rates, self.decay = list(values), list(rates), decay
        self.means = [torch.zeros_like(v) for v in values]
        self.squares = [torch.zeros_like(v) for v in values]
        self.room = [torch.empty_like(v) for v in values]  # memory that is new costs more than sqrt
        self.steps = 0

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        """Take one step against the gradients."""
        self.steps += 1
        unbias = (1 - self.second**self.steps) ** 0.5 / (1 - self.first**self.steps)
        shrink = self.decay ** (self.steps - 1)
        own = self.values, self.means, self.squares, self.room, self.rates
        for value, mean, square, room, rate, g in zip(*own, gradients, strict=True):
            mean.lerp_(g, 1 - self.first)
            square.mul_(self.second).addcmul_(g, g, value=1 - self.second)
            torch.sqrt(square, out=room).add_(self.least)
            value.addcdiv_(mean, room, value=-rate * unbias * shrink)
