"""ResNet-9: eight convolutions and a linear layer, for quick runs on CIFAR-10."""

from collections.abc import Sequence

from torch import Tensor, nn

from saddlepoint.models.normalize import Normalize
from saddlepoint.models.small import require_image

__all__ = ["ResNet9", "resnet9"]


class ResNet9(nn.Module):
    """Conv, conv + pool + residual, conv + pool, conv + pool + residual, maximum, linear.

    Widths are w, 2w, 4w, 8w. Every convolution is 3x3 with batch norm and ReLU. Source: David
    Page, "How to train your ResNet" (DAWNBench), 2018.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        width: int,
        mean: Sequence[float] = (),
        std: Sequence[float] = (),
    ) -> None:
        super().__init__()
        w = width
        self.normalize = Normalize(mean, std) if len(mean) else nn.Identity()
        self.prep = _block(channels, w)
        self.layer1 = nn.Sequential(_block(w, 2 * w), nn.MaxPool2d(2))
        self.residual1 = nn.Sequential(_block(2 * w, 2 * w), _block(2 * w, 2 * w))
        self.layer2 = nn.Sequential(_block(2 * w, 4 * w), nn.MaxPool2d(2))
        self.layer3 = nn.Sequential(_block(4 * w, 8 * w), nn.MaxPool2d(2))
        self.residual3 = nn.Sequential(_block(8 * w, 8 * w), _block(8 * w, 8 * w))
        self.pool = nn.AdaptiveMaxPool2d(1)
        self.linear = nn.Linear(8 * w, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (B, classes) of images (B, C, H, W) in [0, 1]."""
        x = self.layer1(self.prep(self.normalize(x)))
        x = x + self.residual1(x)
        x = self.layer3(self.layer2(x))
        x = x + self.residual3(x)
        logits: Tensor = self.linear(self.pool(x).flatten(1))
        return logits


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


def resnet9(
    shape: Sequence[int] = (3, 32, 32),
    classes: int = 10,
    width: int = 64,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
) -> ResNet9:
    """Return a ResNet-9 for images of at least 8 x 8; ``mean`` and ``std`` add a first layer.

    width: channels of the first block, which the later ones double.

    >>> sum(p.numel() for p in resnet9().parameters())
    6573130
    """
    channels, _, _ = require_image("resnet9", shape, 8)
    return ResNet9(channels, classes, width, mean, std)
