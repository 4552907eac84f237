"""What attacks play on: trained nets, their sets, and test images.

``GAMES`` are those of the strength benchmark: three nets, two norms. The third net is trained by
``saddlepoint train benchmarks/cifar-small.toml`` (or lies in the folder that ``--nets`` names);
``digits-plain`` is trained here in seconds and needs nothing but scikit-learn's digits.
"""

from dataclasses import dataclass
from pathlib import Path

import mnist_nets
import torch
from torch import Tensor, nn

from saddlepoint import load_data, load_model

__all__ = ["DIGITS", "GAMES", "RUNS", "Game", "digits_net", "subject"]

SEED = 0
DIGITS = "digits-plain"
RUNS = Path(__file__).parents[1] / "runs"


@dataclass(frozen=True)
class Game:
    """A net by name, a ball in the box [0, 1], and how many test images."""

    net: str
    norm: str
    eps: float
    n: int

    def __str__(self) -> str:
        return f"{self.net}, {self.norm} {self.eps:.4g}"


GAMES = (
    Game("mnist-fgsm", "Linf", 0.3, 100),
    Game("mnist-fgsm", "L2", 2.0, 100),
    Game("mnist-pgd", "Linf", 0.3, 100),
    Game("mnist-pgd", "L2", 2.0, 100),
    Game("cifar-small", "Linf", 8 / 255, 50),
    Game("cifar-small", "L2", 0.5, 50),
)


def digits_net(epochs: int = 20) -> nn.Module:
    """Train a plain convolutional net on all training digits, a minute's work."""
    torch.manual_seed(SEED)
    net = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 16, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )
    split = load_data("digits").split("train")
    x, y = split.batch(slice(0, len(split)))
    adam = torch.optim.Adam(net.parameters(), 1e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(64):
            adam.zero_grad()
            nn.functional.cross_entropy(net(x[rows]), y[rows]).backward()
            adam.step()
    return net.eval().requires_grad_(False)


def subject(name: str, n: int, nets: Path = RUNS) -> tuple[nn.Module, Tensor, Tensor]:
    """Return a net, frozen and in eval mode, with the first n test images and their labels."""
    if name in mnist_nets.NETS:
        return mnist_nets.net(name), *mnist_nets.images(n)
    if name == DIGITS:
        split = load_data("digits").split("test")
        return digits_net(5), *split.batch(slice(0, n))
    if not (nets / name).is_dir():
        raise FileNotFoundError(f"{nets / name}: saddlepoint train benchmarks/{name}.toml makes it")
    net = load_model(nets / name).model.eval().requires_grad_(False)
    return net, *load_data("cifar10").split("test").batch(slice(0, n))
