"""The two trained MNIST nets of ../shared/models and the test images of ../shared/data."""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

__all__ = ["NETS", "images", "net"]

NETS = ("mnist-fgsm", "mnist-pgd")
SHARED = Path(__file__).resolve().parents[2] / "shared"


def net(name: str) -> nn.Sequential:
    """Load a net, frozen and in eval mode: no contestant pays for gradients of the weights.

    The layout stands here once more so that the limit does not depend on what is measured.
    """
    layers = nn.Sequential(
        nn.Conv2d(1, 16, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 7 * 7, 100),
        nn.ReLU(),
        nn.Linear(100, 10),
    )
    layers.load_state_dict(load_file(SHARED / "models" / f"{name}.safetensors"))
    return layers.eval().requires_grad_(False)


def images(n: int) -> tuple[Tensor, Tensor]:
    """Return the first n test images in [0, 1], (n, 1, 28, 28), and their labels."""
    with np.load(SHARED / "data" / "mnist.npz") as arrays:
        x, y = arrays["x_test"][:n], arrays["y_test"][:n]
    return torch.from_numpy(x).float().div(255).view(n, 1, 28, 28), torch.from_numpy(y).long()
