"""The convolutions of VGG-16 and AlexNet, for weights that torchvision has trained on ImageNet.

torchvision itself is not needed: a file with its state dict is.
"""

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from saddlepoint.core.errors import BadData
from saddlepoint.models.normalize import Normalize

__all__ = ["STACKS", "filled", "tapped"]

# Of ImageNet's images in [0, 1], as torchvision's own weights expect them.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_VGG16 = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512)
# Layers whose outputs LPIPS takes (1801.03924): the last ReLU before each reduction.
_TAPPED = {"vgg16": (3, 8, 15, 22, 29), "alexnet": (1, 4, 7, 9, 11)}


def _vgg16() -> list[nn.Module]:
    layers: list[nn.Module] = []
    channels = 3
    for width in _VGG16:
        if not width:
            layers.append(nn.MaxPool2d(2))
            continue
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
        channels = width
    return layers


def _alexnet() -> list[nn.Module]:
    return [
        nn.Conv2d(3, 64, 11, stride=4, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1),
        nn.ReLU(),
    ]


STACKS: dict[str, Callable[[], list[nn.Module]]] = {"vgg16": _vgg16, "alexnet": _alexnet}


def tapped(arch: str) -> tuple[str, ...]:
    """Return the layers of a stack that LPIPS looks at.

    >>> tapped("alexnet")
    ('features.1', 'features.4', 'features.7', 'features.9', 'features.11')
    """
    return tuple(f"features.{i}" for i in _TAPPED[arch])


def filled(arch: str, state: Mapping[str, Tensor], path: object) -> nn.Sequential:
    """Return the convolutions of ``vgg16`` or ``alexnet`` with weights of torchvision's format.

    state: ``features.0.weight`` and so on; the classifier's own are left out. Images are colour, in
    [0, 1]; they are normalised by a first layer. Raises ``BadData`` where a weight is missing or
    has another size, and names it.
    """
    net = nn.Sequential()
    net.add_module("normalize", Normalize(_MEAN, _STD))
    net.add_module("features", stack := nn.Sequential(*STACKS[arch]()))
    wanted = stack.state_dict(prefix="features.")
    for name, t in wanted.items():
        if name not in state:
            raise BadData(f"{path} does not fit {arch}: {name} is missing")
        if state[name].shape != t.shape:
            sizes = f"{tuple(state[name].shape)} instead of {tuple(t.shape)}"
            raise BadData(f"{path} does not fit {arch}: {name} has shape {sizes}")
    stack.load_state_dict({k.removeprefix("features."): state[k].to(t) for k, t in wanted.items()})
    return net
