"""A class of its own for attacked inputs, learnt by the classifier itself."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from saddlepoint.models.defences.body import body
from saddlepoint.models.defences.fitting import Fitting

__all__ = ["OutlierClass", "outlier_class"]


class OutlierClass(nn.Module):
    """A net of K + 1 logits; the last one is the class "attacked", and its answer a rejection.

    Source: Grosse et al., 1702.06280; fallen to Carlini and Wagner, 1705.07263.
    """

    rejects = True

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        """Return scores (B, K + 1), the last one that of rejection."""
        out: Tensor = self.net(x)
        return out

    def fit(
        self, x: Tensor, y: Tensor, attacked: Tensor, classes: int, fitting: Fitting
    ) -> "OutlierClass":
        """Train on clean inputs x (N, *F) with labels y, and on attacked (M, *F) ones."""
        labels = torch.cat([y, torch.full((len(attacked),), classes)])
        fitting.classes(self.net, torch.cat([x, attacked]), labels)
        return self


def outlier_class(
    shape: Sequence[int] = (1, 28, 28), classes: int = 10, net: str = "conv-small", width: int = 16
) -> OutlierClass:
    """Return an untrained net with one class more than there are.

    >>> outlier_class((1, 8, 8), 10, width=2)(torch.zeros(3, 1, 8, 8)).shape
    torch.Size([3, 11])
    """
    return OutlierClass(body(net, shape, classes + 1, width))
