"""A second net that was trained to tell attacked inputs from clean ones."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from saddlepoint.core.errors import Invalid
from saddlepoint.core.shapes import pieces
from saddlepoint.models.defences.body import body
from saddlepoint.models.defences.calibrate import threshold
from saddlepoint.models.defences.fitting import Fitting

__all__ = ["Guarded", "guarded"]


class Guarded(nn.Module):
    """A classifier whose answer is accepted where no detector takes its input for an attack.

    Each detector is a net with two logits, clean and attacked; score(x) is the largest of their
    differences. Scores out are the K logits of the classifier and one more, max z + score -
    threshold, which is the largest exactly where the alarm goes off. ``fit`` trains a detector,
    ``calibrate`` sets the threshold.

    Source: a detector beside the classifier, Gong, Wang, Ku, 1704.04960; on its hidden layers,
    Metzen et al., 1702.04267; several of them, He et al., 1706.04701. Fallen to Carlini
    and Wagner, 1705.07263.
    """

    rejects = True
    threshold: Tensor

    def __init__(self, net: nn.Module, detectors: Sequence[nn.Module]) -> None:
        super().__init__()
        if not detectors:
            raise Invalid("detectors", list(detectors), "at least one net with two logits")
        self.net, self.detectors = net, nn.ModuleList(detectors)
        self.register_buffer("threshold", torch.tensor(0.0))

    def score(self, x: Tensor) -> Tensor:
        """(B,) how suspicious x is, in logits."""
        logits = torch.stack([detector(x) for detector in self.detectors])
        return (logits[..., 1] - logits[..., 0]).amax(0)

    def forward(self, x: Tensor) -> Tensor:
        """Return scores (B, K + 1), the last one that of rejection."""
        z = self.net(x)
        alarm = z.amax(1) + self.score(x) - self.threshold
        return torch.cat([z, alarm[:, None]], 1)

    def fit(self, i: int, clean: Tensor, attacked: Tensor, fitting: Fitting) -> "Guarded":
        """Train the i-th detector on clean (N, *F) and attacked (M, *F) inputs."""
        y = torch.cat([torch.zeros(len(clean)), torch.ones(len(attacked))]).long()
        fitting.classes(self.detectors[i], torch.cat([clean, attacked]), y)
        return self

    def calibrate(self, x: Tensor, false_alarms: float = 0.05) -> "Guarded":
        """Set the threshold by clean inputs; return the same model."""
        with torch.no_grad():
            scores = torch.cat([self.score(part) for part in pieces(x, 500)])
        self.threshold.fill_(threshold(scores, false_alarms))
        return self


def guarded(
    shape: Sequence[int] = (1, 28, 28),
    classes: int = 10,
    net: str = "conv-small",
    width: int = 16,
    detectors: int = 1,
) -> Guarded:
    """Return an untrained net with detectors of the same kind beside it.

    >>> guarded((1, 8, 8), 10, width=2)(torch.zeros(3, 1, 8, 8)).shape
    torch.Size([3, 11])
    """
    two = [body(net, shape, 2, width) for _ in range(detectors)]
    return Guarded(body(net, shape, classes, width), two)
