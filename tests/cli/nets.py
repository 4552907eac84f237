"""Factories that the command line tests name."""

from torch import Tensor, nn

from tests.audit.conftest import fitted


def linear() -> nn.Module:
    return fitted().model


class Blind(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)[:, :10] * 0 + 1


def blind() -> nn.Module:
    return Blind()


def softmax() -> nn.Module:
    return nn.Sequential(linear(), nn.Softmax(1))


def never() -> nn.Module:
    raise AssertionError("imported on a file's word")
