"""The published AutoAttack, as RobustBench runs it."""

from pyautoattack import AutoAttack
from torch import nn

from .data import load_cifar10
from .utils import clean_accuracy

__all__ = ["benchmark"]


def benchmark(
    model: nn.Module,
    n_examples: int = 10000,
    dataset: str = "cifar10",
    threat_model: str = "Linf",
    eps: float | None = None,
    batch_size: int = 32,
) -> tuple[float, float]:
    """Return clean accuracy and accuracy under the standard AutoAttack."""
    assert eps is not None
    x, y = load_cifar10(n_examples)
    adversary = AutoAttack(model, norm=threat_model, eps=eps, version="standard", seed=0)
    x_adv, _ = adversary.run_standard_evaluation(x, y, batch_size=batch_size)
    return clean_accuracy(model, x, y), clean_accuracy(model, x_adv, y)
