"""A small subject to audit: digits, and a linear model fitted in closed form."""

from typing import NamedTuple

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn


class Subject(NamedTuple):
    model: nn.Module
    x: Tensor
    y: Tensor


def fitted() -> Subject:
    raw = load_digits()
    x = (torch.from_numpy(raw.data).float() * 255 / 16).round() / 255
    y = torch.from_numpy(raw.target).long()
    ones = torch.cat([x, torch.ones(len(x), 1)], 1)
    target = nn.functional.one_hot(y).float()
    weight = torch.linalg.solve(ones.T @ ones + torch.eye(65), ones.T @ target)
    layer = nn.Linear(64, 10)
    with torch.no_grad():
        layer.weight.copy_(weight[:-1].T * 10)
        layer.bias.copy_(weight[-1] * 10)
    model = nn.Sequential(nn.Flatten(), layer)
    return Subject(model, x.reshape(-1, 1, 8, 8)[:60], y[:60])


@pytest.fixture(scope="session")
def subject() -> Subject:
    return fitted()
