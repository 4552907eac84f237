"""A model that sees its inputs under random transformations, to train in any loop."""

from typing import Any

import torch
from torch import Tensor, nn

from saddlepoint.core.draw import Draw
from saddlepoint.core.expectation import Distribution

__all__ = ["Seen"]


class Seen(nn.Module):
    """net(t(x)), t ~ T drawn anew for every sample of every call, from torch's own generator.

    In a training loop the net learns on views, and the inner attack climbs the loss over them, one
    draw a step. To audit it pass ``net`` and an ``Expectation`` instead: there draws depend on
    seed and sample alone, and witnesses are judged by their success rate.

    >>> from saddlepoint.views import Noise
    >>> seen = Seen(nn.Linear(2, 3), Noise(0.1))
    >>> seen(torch.rand(4, 2)).shape
    torch.Size([4, 3])
    """

    def __init__(self, net: nn.Module, views: Distribution) -> None:
        super().__init__()
        self.net, self.views = net, views

    def forward(self, x: Tensor) -> Any:  # noqa: ANN401 - whatever the net returns
        """Answer about one view of each sample."""
        seed = int(torch.randint(1 << 62, ()))
        draw = Draw.of(seed, torch.arange(len(x), device=x.device))
        return self.net(self.views(x, draw))
