"""Training on random members of the set: data augmentation by what the adversary may do."""

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from saddlepoint.core.errors import Invalid
from saddlepoint.core.spec import compact
from saddlepoint.train.lean import widen
from saddlepoint.train.worst import Worst

__all__ = ["Sampled"]


@dataclass(frozen=True, repr=False)
class Sampled:
    """CE(model(apply(x, u)), y), u a random member: one fresh draw per sample and epoch.

    The mean over the set in place of its maximum: what is called augmentation where the set holds
    rotations and shifts (1712.02779, §4). The plan's attack is not asked; the check is measured
    against after each epoch. ``Madry`` with ``WorstOf(k=10)`` is the step from here to the worst.
    label_smoothing: as in ``Natural``.

    >>> Sampled(label_smoothing=0.1)
    Sampled(label_smoothing=0.1)
    """

    label_smoothing: float = 0.0

    __repr__ = compact

    def __post_init__(self) -> None:
        if not isinstance(self.label_smoothing, int | float) or not 0 <= self.label_smoothing < 1:
            raise Invalid("label_smoothing", self.label_smoothing, "a number in [0, 1)")

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor, worst: Worst) -> Tensor:
        """Return the mean over the batch, a scalar in nats."""
        u = worst.threat.sample(x, worst.draw.tag("member"))
        out = widen(model(worst.threat.apply(x, u)))
        return functional.cross_entropy(out, y, label_smoothing=self.label_smoothing)
