"""Small models, well-behaved and otherwise, and a helper that searches them."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from saddlepoint import Found, search
from tests.table import ThreatRow

SHAPE = (1, 3, 4)


def mlp(classes: int = 4, seed: int = 0, dtype: torch.dtype = torch.float64) -> nn.Sequential:
    """A smooth net on SHAPE whose logits are neither tiny nor saturated."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = nn.Sequential(
            nn.Flatten(), nn.Linear(12, 16), nn.BatchNorm1d(16), nn.Tanh(), nn.Linear(16, classes)
        )
        with torch.no_grad():
            net[2].running_mean.normal_()  # type: ignore[union-attr,operator]
            net[1].weight.mul_(6)  # type: ignore[union-attr,operator]
    return net.to(dtype)


def problem(
    row: ThreatRow, n: int = 8, classes: int = 4, dtype: torch.dtype = torch.float64
) -> tuple[nn.Module, Tensor, Tensor, Any]:
    """A model, inputs of which most are classified right, labels, and the threat model."""
    net, x = mlp(classes, dtype=dtype).eval(), row.inputs(n, SHAPE, 5, dtype)
    with torch.no_grad():
        y = net(x).argmax(1)
    y[n // 2] = (y[n // 2] + 1) % classes  # one is wrong from the start
    net.train()
    return net, x, y, row.make(n)


class Spy(nn.Module):
    """Counts questions, and can misbehave on demand."""

    def __init__(self, inner: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.inner = inner
        self.sizes: list[int] = []
        self.graphs = 0

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.append(len(x))
        self.graphs += int(x.requires_grad)
        return self.inner(x)


class Noisy(nn.Module):
    """Uses every global random state there is."""

    def forward(self, x: Tensor) -> Tensor:
        jitter = random.random() + np.random.random() + torch.rand(()).item()  # noqa: S311
        return x.flatten(1)[:, :3] * (1 + 0.1 * jitter)


class _NoBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ANN401
        return x.clone()

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:  # noqa: ANN401
        raise AssertionError("a gradient was asked for")


class NoBackward(nn.Module):
    """Raises in the backward pass, and counts inputs that would carry a graph."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.graphs = inner, 0

    def forward(self, x: Tensor) -> Tensor:
        self.graphs += int(torch.is_grad_enabled() and x.requires_grad)
        return self.inner(_NoBackward.apply(x))


class BF16Differs(nn.Module):
    """Answers otherwise under autocast: what bfloat16 does to a close call, writ large."""

    def __init__(self, usual: Callable[[Tensor], Tensor], low: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.usual, self.low = usual, low

    def forward(self, x: Tensor) -> Tensor:
        return self.low(x) if torch.is_autocast_enabled("cpu") else self.usual(x)


def alone(model: nn.Module, x: Tensor, goal: Any) -> Tensor:  # noqa: ANN401
    """Margins with every sample asked about by itself, without the library's help."""
    modes = [(m, m.training) for m in model.modules()]
    model.eval()
    with torch.no_grad():
        out = torch.cat([model(x[i : i + 1]) for i in range(len(x))])
    for m, training in modes:
        m.training = training
    return goal.margin(out).double()


def run(attack: Any, row: ThreatRow, **options: Any) -> Found:  # noqa: ANN401
    net, x, y, threat = problem(row)
    return search(attack, net, x, y, threat, **options)
