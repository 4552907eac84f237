"""The demo's natural net in the place of a zoo."""

import torch
from torch import Tensor, nn

import saddlepoint as sp

__all__ = ["clean_accuracy", "load_model"]


class Shrunk(nn.Module):
    """A net for digits that takes 32 x 32 images in colour."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores of the image's mean over colours and squares of 4 x 4."""
        out: Tensor = self.net(nn.functional.avg_pool2d(x.mean(1, keepdim=True), 4))
        return out


def load_model(
    model_name: str,
    model_dir: str = "./models",
    dataset: str = "cifar10",
    threat_model: str = "Linf",
    custom_checkpoint: str = "",
    norm: str | None = None,
) -> nn.Module:
    """Return the net, whatever the name."""
    net = sp.load_model("demo/natural-model").model
    assert isinstance(net, nn.Module)
    return Shrunk(net).eval()


def clean_accuracy(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    batch_size: int = 100,
    device: torch.device | None = None,
) -> float:
    """Return the share of right answers."""
    with torch.no_grad():
        return model(x).argmax(1).eq(y).double().mean().item()
