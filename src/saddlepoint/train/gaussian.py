"""Training on noisy inputs: what makes a base classifier fit for randomised smoothing."""

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from saddlepoint.core.errors import Invalid
from saddlepoint.core.spec import compact
from saddlepoint.train.lean import widen
from saddlepoint.train.worst import Worst

__all__ = ["Gaussian"]


@dataclass(frozen=True, repr=False)
class Gaussian:
    """CE(model(x + sigma n), y), n standard normal: one fresh draw per sample and epoch.

    The noise is not clipped to the input range, since that which ``Smoothing`` adds is not either.
    sigma: in units of the input, the same as that of the smoothing. The plan's attack is not asked;
    threat and check are measured against, after each epoch, on the base classifier itself. The
    noise depends on seed, sample and epoch alone, so a run resumes to the same bits.
    label_smoothing: as in ``Natural``. Source: 1902.02918, section 3.3.

    Raises ``Invalid`` for a sigma that is not a finite number above 0.

    >>> Gaussian(sigma=0.5)
    Gaussian(sigma=0.5)
    """

    sigma: float = 0.25
    label_smoothing: float = 0.0

    __repr__ = compact

    def __post_init__(self) -> None:
        if not _number(self.sigma) or not 0 < self.sigma < float("inf"):
            raise Invalid("sigma", self.sigma, "a finite number above 0")
        if not _number(self.label_smoothing) or not 0 <= self.label_smoothing < 1:
            raise Invalid("label_smoothing", self.label_smoothing, "a number in [0, 1)")

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor, worst: Worst) -> Tensor:
        """Return the mean over the batch, a scalar in nats."""
        noise = worst.draw.tag("noise").normal(*x.shape[1:]).to(x)
        out = widen(model(x + self.sigma * noise))
        return functional.cross_entropy(out, y, label_smoothing=self.label_smoothing)


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
