"""Digits, a net small enough for seconds, and the plan that most tests vary."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from saddlepoint import PGD, Linf
from saddlepoint.train import TrainPlan
from tests.train.kit import Digits, MakeNet, MakePlan


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Two threads on a net this small cost more in waiting than they bring."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def digits() -> Digits:
    """x_train (1297, 1, 8, 8) bytes, y_train, x_test (500, 1, 8, 8) floats, y_test."""
    bunch = load_digits()
    x = np.rint(bunch.images * 255 / 16).astype(np.uint8)[:, None]
    test = torch.from_numpy(x[1297:]).float() / 255
    return x[:1297], bunch.target[:1297], test, torch.from_numpy(bunch.target[1297:]).long()


@pytest.fixture
def net() -> MakeNet:
    def make() -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(3)
            return nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))

    return make


@pytest.fixture
def plan() -> MakePlan:
    def make(**changed: Any) -> TrainPlan:  # noqa: ANN401
        usual: dict[str, Any] = {
            "arch": "mlp",
            "shape": (1, 8, 8),
            "classes": 10,
            "threat": Linf(eps=0.1),
            "attack": PGD(steps=2, step_size=0.75),
            "check": PGD(steps=2),
            "epochs": 4,
            "batch_size": 256,
            "lr": 5e-3,
            "held_out": 100,
        }
        return TrainPlan(**usual | changed)

    return make
