"""Random small models from the list of operators, for tests that hold for any model."""

import random
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from saddlepoint.models import Normalize, ThresholdStem

__all__ = ["ACTIVATIONS", "random_model"]

ACTIVATIONS: tuple[Callable[[], nn.Module], ...] = (
    nn.ReLU,
    nn.ReLU,
    nn.ReLU,
    lambda: nn.ReLU(inplace=True),
    lambda: nn.LeakyReLU(0.1),
    lambda: nn.LeakyReLU(1.5),
    lambda: nn.PReLU(init=-0.3),
    nn.Sigmoid,
    nn.Tanh,
    nn.GELU,
    lambda: nn.GELU("tanh"),
    nn.SiLU,
    nn.Mish,
    nn.ELU,
    nn.SELU,
    nn.CELU,
    nn.Softplus,
    nn.Softsign,
    nn.LogSigmoid,
    lambda: nn.Hardtanh(-0.3, 0.5),
    nn.ReLU6,
    nn.Hardsigmoid,
    nn.Hardswish,
)


class Apply(nn.Module):
    """A function as a layer."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Residual(nn.Module):
    """x + f(x), written in place."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        out = self.inner(x)
        out += x
        return out


class Joined(nn.Module):
    """Both branches side by side along the channels."""

    def __init__(self, one: nn.Module, two: nn.Module) -> None:
        super().__init__()
        self.one, self.two = one, two

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.one(x), self.two(x)], 1)


class Larger(nn.Module):
    """The larger, or the smaller, of two branches."""

    def __init__(self, one: nn.Module, two: nn.Module, least: bool) -> None:
        super().__init__()
        self.one, self.two, self.least = one, two, least

    def forward(self, x: Tensor) -> Tensor:
        pick = torch.minimum if self.least else torch.maximum
        return pick(self.one(x), self.two(x))


def _norm(c: int) -> nn.Module:
    norm = nn.BatchNorm2d(c)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    nn.init.normal_(norm.running_mean, std=0.3)
    nn.init.uniform_(norm.running_var, 0.3, 2.0)
    return norm


def _same(c: int, r: random.Random) -> nn.Module:
    """A convolution that keeps the shape."""
    kind = r.randrange(4)
    if kind == 0:
        return nn.Conv2d(c, c, 3, padding=1, bias=r.random() < 0.5)
    if kind == 1:
        return nn.Conv2d(c, c, 2, padding="same", dilation=2)
    if kind == 2:
        return nn.Conv2d(c, c, 3, padding=2, dilation=2, groups=c)
    return nn.ConvTranspose2d(c, c, 3, padding=1)


Made = tuple[nn.Module, int, int]  # a layer, the channels and the side of its output


def _grows(c: int, side: int, r: random.Random) -> list[Callable[[], Made]]:
    """Layers for inputs (c, side, side) of any size."""
    act = r.choice(ACTIVATIONS)
    return [
        lambda: (nn.Sequential(_same(c, r), act()), c, side),
        lambda: (Residual(nn.Sequential(_same(c, r), act())), c, side),
        lambda: (Joined(_same(c, r), nn.Sequential(_same(c, r), act())), 2 * c, side),
        lambda: (Larger(_same(c, r), _same(c, r), r.random() < 0.5), c, side),
        lambda: (_norm(c), c, side),
        lambda: (nn.Sequential(nn.ConvTranspose2d(c, 2, 2), act()), 2, side + 1),
        lambda: (Apply(lambda x: (x - 0.1).abs()), c, side),
        lambda: (Apply(lambda x: x.clamp(max=0.4) ** 2), c, side),
        lambda: (Apply(lambda x: F.pad(x, (0, 1, 1, 0), value=0.2).flip(2)), c, side + 1),
    ]


def _shrinks(c: int, side: int, r: random.Random) -> list[Callable[[], Made]]:
    """Layers that need more than one pixel; the last one more than two."""
    act, half = r.choice(ACTIVATIONS), (side + 1) // 2
    layers: list[Callable[[], Made]] = [
        lambda: (nn.MaxPool2d(2, 1), c, side - 1),
        lambda: (nn.AvgPool2d(3, 2, 1), c, half),
        lambda: (nn.Sequential(nn.Conv2d(c, 3, 2, stride=2), act()), 3, side // 2),
        lambda: (nn.MaxPool2d(3, 2, 1), c, half),
    ]
    return layers[: 0 if side < 2 else 3 if side < 3 else 4]


def _block(c: int, side: int, r: random.Random) -> Made:
    return r.choice([*_grows(c, side, r), *_shrinks(c, side, r)])()


def random_model(seed: int) -> tuple[nn.Module, tuple[int, ...]]:
    """Return a model in evaluation mode, of 3 classes, and the shape of its input."""
    torch.manual_seed(seed)
    r = random.Random(seed)  # noqa: S311 - no secret
    if r.random() < 0.25:
        return _dense(r), (5,)
    c, side = r.choice((1, 2)), r.choice((4, 5))
    shape, layers = (c, side, side), []
    if r.random() < 0.3:
        layers.append(r.choice((ThresholdStem(0.2), Normalize((0.4,) * c, (0.3,) * c))))
    for _ in range(r.randint(1, 4)):
        layer, c, side = _block(c, side, r)
        layers.append(layer)
    pooled = r.random() < 0.3
    if pooled:
        layers.append(r.choice((nn.AdaptiveAvgPool2d(1), nn.AdaptiveMaxPool2d(1))))
    layers.append(nn.Flatten())
    layers.append(nn.Linear(c if pooled else c * side * side, 3))
    layers.append(_last(r))
    return nn.Sequential(*layers).eval(), shape


def _last(r: random.Random) -> nn.Module:
    return r.choice((nn.Sigmoid, nn.ReLU))() if r.random() < 0.1 else nn.Identity()


def _dense(r: random.Random) -> nn.Module:
    layers: list[nn.Module] = []
    width = 5
    for _ in range(r.randint(1, 3)):
        out = r.randint(3, 8)
        layers += [nn.Linear(width, out), r.choice(ACTIVATIONS)(), nn.Dropout(0.2)]
        if r.random() < 0.3:
            layers.append(Residual(nn.Sequential(nn.Linear(out, out), r.choice(ACTIVATIONS)())))
        width = out
    return nn.Sequential(*layers, nn.Linear(width, 3), _last(r)).eval()
