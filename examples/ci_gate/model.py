"""What the pipeline is about: the model it would release, and the samples it is judged by."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Adam

import saddlepoint as sp

__all__ = ["model", "samples"]

WEIGHT_DECAY = 0.003  # keeps the weights small, and with them the damage of a perturbation


def samples(n: int = 100) -> tuple[Tensor, Tensor]:
    """Return test images (n, 1, 8, 8) in [0, 1] with their labels."""
    return sp.load_data("digits").split("test").batch(slice(n))


def model(steps: int = 300) -> nn.Module:
    """Train here, in a second; a pipeline of yours would load the weights that it has built.

    The gate calls it without arguments (``--model model:model``).
    """
    x, y = sp.load_data("digits").split("train").batch(slice(None))
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    optimizer = Adam(net.parameters(), lr=0.05, weight_decay=WEIGHT_DECAY)
    for _ in range(steps):
        optimizer.zero_grad()
        cross_entropy(net(x), y).backward()
        optimizer.step()
    return net
