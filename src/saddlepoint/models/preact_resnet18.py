"""PreActResNet-18: residual blocks with batch norm and ReLU before each convolution."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from saddlepoint.models.normalize import Normalize
from saddlepoint.models.small import require_image

__all__ = ["PreActBlock", "PreActResNet18", "preact_resnet18"]


class PreActBlock(nn.Module):
    """Two 3x3 convolutions, each after batch norm and ReLU, added to the (projected) input."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        if stride != 1 or inputs != outputs:
            project = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)
            self.shortcut: nn.Sequential | None = nn.Sequential(project)
        else:
            self.shortcut = None

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, H / stride, W / stride)."""
        h = F.relu(self.bn1(x))
        skip = x if self.shortcut is None else self.shortcut(h)
        out: Tensor = self.conv2(F.relu(self.bn2(self.conv1(h)))) + skip
        return out


class PreActResNet18(nn.Module):
    """A convolution, four stages of two blocks at widths w, 2w, 4w, 8w, batch norm, mean, linear.

    Source: He et al., "Identity mappings in deep residual networks", arXiv:1603.05027, section 4;
    the small-image variant and the parameter names usual for CIFAR, so that published weights fit.
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
        self.conv1 = nn.Conv2d(channels, w, 3, padding=1, bias=False)
        self.layer1 = _stage(w, w, 1)
        self.layer2 = _stage(w, 2 * w, 2)
        self.layer3 = _stage(2 * w, 4 * w, 2)
        self.layer4 = _stage(4 * w, 8 * w, 2)
        self.bn = nn.BatchNorm2d(8 * w)
        self.linear = nn.Linear(8 * w, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (B, classes) of images (B, C, H, W) in [0, 1]."""
        x = self.conv1(self.normalize(x))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        logits: Tensor = self.linear(F.relu(self.bn(x)).mean((2, 3)))
        return logits


def _stage(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(PreActBlock(inputs, outputs, stride), PreActBlock(outputs, outputs, 1))


def preact_resnet18(
    shape: Sequence[int] = (3, 32, 32),
    classes: int = 10,
    width: int = 64,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
) -> PreActResNet18:
    """Return a PreActResNet-18; ``mean`` and ``std`` add normalisation as a first layer.

    width: channels of the first block, which the later ones double.

    >>> sum(p.numel() for p in preact_resnet18().parameters())
    11172170
    """
    channels, _, _ = require_image("preact-resnet18", shape, 8)
    return PreActResNet18(channels, classes, width, mean, std)
