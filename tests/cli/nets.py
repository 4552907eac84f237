"""Factories that the command line tests name."""

import os

import torch
from torch import Tensor, nn

from tests.audit.conftest import fitted
from tests.audit.nets import natural


def linear() -> nn.Module:
    return fitted().model


def relu() -> nn.Module:
    return natural().model


class Blind(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)[:, :10] * 0 + 1


def blind() -> nn.Module:
    return Blind()


def softmax() -> nn.Module:
    return nn.Sequential(linear(), nn.Softmax(1))


def never() -> nn.Module:
    raise AssertionError("imported on a file's word")


class Crashing(nn.Module):
    """Answers, but breaks down where gradients are asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = linear()

    def forward(self, x: Tensor) -> Tensor:
        if x.requires_grad:
            raise RuntimeError("out of memory")
        return self.inner(x)


def crashing() -> nn.Module:
    return Crashing()


class Restless(nn.Module):
    """Never says quite the same twice."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = linear()

    def forward(self, x: Tensor) -> Tensor:
        out = self.inner(x)
        return out + 1e-4 * torch.randn_like(out)


def restless() -> nn.Module:
    return Restless()


class Forsaken(nn.Module):
    """The second process meets a shape that it cannot take."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = linear()

    def forward(self, x: Tensor) -> Tensor:
        if os.environ.get("RANK") == "1":
            raise RuntimeError("no memory left on this GPU")
        return self.inner(x)


def forsaken() -> nn.Module:
    return Forsaken()
