"""Small nets of the literature, as plain stacks of layers."""

import itertools
import math
from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from saddlepoint.core.errors import Invalid
from saddlepoint.models.normalize import Normalize
from saddlepoint.models.stem import ThresholdStem

__all__ = ["conv_medium", "conv_small", "madry_mnist", "mlp", "require_image"]

Shape = Sequence[int]


def require_image(arch: str, shape: Shape, least: int) -> tuple[int, int, int]:
    """Return ``shape`` as (C, H, W); ``Invalid`` when it is none or smaller than ``least``."""
    if len(shape) != 3 or min(shape) < 1 or min(shape[1:]) < least:
        allowed = f"(C, H, W) with H and W at least {least} for {arch}"
        raise Invalid("shape", tuple(shape), allowed, "mlp takes inputs of any shape")
    channels, height, width = shape
    return channels, height, width


def _stack(
    layers: Sequence[nn.Module],
    mean: Sequence[float],
    std: Sequence[float],
    rank: int,
    stem: float | None,
) -> nn.Sequential:
    """Return the layers under their numbers; stem and normalisation come first, without number."""
    named: OrderedDict[str, nn.Module] = OrderedDict()
    if stem:  # None and 0 leave the input as it is
        named["stem"] = ThresholdStem(stem)
    if len(mean):
        named["normalize"] = Normalize(mean, std, rank)
    named.update((str(i), layer) for i, layer in enumerate(layers))
    return nn.Sequential(named)


def conv_small(
    shape: Shape = (1, 28, 28),
    classes: int = 10,
    width: int = 16,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    stem: float | None = None,
) -> nn.Sequential:
    """Return conv 16 and conv 32 (4x4, stride 2, pad 1), linear 100, linear ``classes``; ReLUs.

    Parameters are called 0, 2, 5 and 7, as in the weights of the source: Wong, Rice and Kolter,
    "Fast is better than free", arXiv:2001.03994, section 5 (MNIST). The widths follow ``width``.
    ``mean`` and ``std`` put a ``Normalize`` before them, ``stem`` a ``ThresholdStem`` of that
    radius before everything.

    >>> sum(p.numel() for p in conv_small().parameters())
    166406
    """
    channels, height, side = require_image("conv-small", shape, 4)
    layers = [
        nn.Conv2d(channels, width, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(2 * width * (height // 4) * (side // 4), 100),
        nn.ReLU(),
        nn.Linear(100, classes),
    ]
    return _stack(layers, mean, std, 4, stem)


def conv_medium(
    shape: Shape = (1, 28, 28),
    classes: int = 10,
    width: int = 32,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    stem: float | None = None,
) -> nn.Sequential:
    """Return conv 32 and conv 64 (5x5, stride 2, pad 2), linear 512, linear ``classes``; ReLUs.

    As many filters as ``madry_mnist`` at a third of its multiplications, since strides take the
    place of the maxima. The widths follow ``width``: w, 2w, 16w; mean, std, stem: as in
    ``conv_small``.

    >>> sum(p.numel() for p in conv_medium().parameters())
    1663370
    """
    channels, height, side = require_image("conv-medium", shape, 4)
    layers = [
        nn.Conv2d(channels, width, 5, stride=2, padding=2),
        nn.ReLU(),
        nn.Conv2d(width, 2 * width, 5, stride=2, padding=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(2 * width * -(-height // 4) * -(-side // 4), 16 * width),  # strides round up
        nn.ReLU(),
        nn.Linear(16 * width, classes),
    ]
    return _stack(layers, mean, std, 4, stem)


def madry_mnist(
    shape: Shape = (1, 28, 28),
    classes: int = 10,
    width: int = 32,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    stem: float | None = None,
) -> nn.Sequential:
    """Return conv 32 and conv 64 (5x5, pad 2, each with a 2x2 maximum), linear 1024, ``classes``.

    Source: Madry et al., "Towards deep learning models resistant to adversarial attacks",
    arXiv:1706.06083, section 5 (MNIST). The widths follow ``width``: w, 2w, 32w;
    mean, std, stem: as in ``conv_small``.

    >>> sum(p.numel() for p in madry_mnist().parameters())
    3274634
    """
    channels, height, side = require_image("madry-mnist", shape, 4)
    layers = [
        nn.Conv2d(channels, width, 5, padding=2),
        nn.MaxPool2d(2),  # before the ReLU: the same function, a quarter of its work
        nn.ReLU(),
        nn.Conv2d(width, 2 * width, 5, padding=2),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(2 * width * (height // 4) * (side // 4), 32 * width),
        nn.ReLU(),
        nn.Linear(32 * width, classes),
    ]
    return _stack(layers, mean, std, 4, stem)


def mlp(
    shape: Shape = (1, 28, 28),
    classes: int = 10,
    hidden: Sequence[int] = (256, 256),
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    stem: float | None = None,
) -> nn.Sequential:
    """Return a net of linear layers and ReLUs for inputs of any shape, tables included.

    hidden: numbers of units. mean, std, stem: as in ``conv_small``.

    >>> mlp(shape=(13,), classes=2, hidden=(5,))
    Sequential(
      (0): Flatten(start_dim=1, end_dim=-1)
      (1): Linear(in_features=13, out_features=5, bias=True)
      (2): ReLU()
      (3): Linear(in_features=5, out_features=2, bias=True)
    )
    """
    if not shape or min(shape) < 1:
        raise Invalid(
            "shape", tuple(shape), "the shape of one sample, such as (13,) or (1, 28, 28)"
        )
    sizes = [math.prod(shape), *hidden]
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs, outputs in itertools.pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return _stack([*layers, nn.Linear(sizes[-1], classes)], mean, std, len(shape) + 1, stem)
