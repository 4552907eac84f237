"""What training minimises: each objective is a few lines over ``Worst``."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from saddlepoint.core.errors import Invalid, closest
from saddlepoint.core.spec import compact
from saddlepoint.train.worst import Worst

__all__ = ["ROBUST_LOSSES", "Madry", "Natural", "RobustLoss", "as_robust_loss"]

RobustLoss = Callable[[nn.Module, Tensor, Tensor, Worst], Tensor]


def _check_smoothing(value: float) -> None:
    if not isinstance(value, int | float) or not 0 <= value < 1:
        raise Invalid("label_smoothing", value, "a number in [0, 1)")


@dataclass(frozen=True, repr=False)
class Natural:
    """CE(model(x), y): the loss at the sample itself; the adversary is not asked.

    label_smoothing: the share of the label's mass that is spread over all classes (1512.00567, §7).

    >>> import torch
    >>> x, y = torch.zeros(1, 2), torch.tensor([0])
    >>> Natural()(nn.Identity(), x, y, lambda model, x, y, loss=None: x)
    tensor(0.6931)
    """

    label_smoothing: float = 0.0

    __repr__ = compact

    def __post_init__(self) -> None:
        _check_smoothing(self.label_smoothing)

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor, worst: Worst) -> Tensor:
        """Return the mean over the batch, a scalar in nats."""
        return functional.cross_entropy(model(x), y, label_smoothing=self.label_smoothing)


@dataclass(frozen=True, repr=False)
class Madry:
    """CE(model(worst(x)), y): the loss at the worst input found (1706.06083, eq. 2.1).

    label_smoothing: applied in the outer minimum only; the adversary sees the hard label.

    >>> import torch
    >>> x, y = torch.zeros(1, 2), torch.tensor([0])
    >>> Madry()(nn.Identity(), x, y, lambda model, x, y, loss=None: x + torch.tensor([0.0, 1.0]))
    tensor(1.3133)
    """

    label_smoothing: float = 0.0

    __repr__ = compact

    def __post_init__(self) -> None:
        _check_smoothing(self.label_smoothing)

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor, worst: Worst) -> Tensor:
        """Return the mean over the batch, a scalar in nats."""
        x_adv = worst(model, x, y)
        return functional.cross_entropy(model(x_adv), y, label_smoothing=self.label_smoothing)


ROBUST_LOSSES: dict[str, RobustLoss] = {"natural": Natural(), "madry": Madry()}


def as_robust_loss(loss: RobustLoss | str) -> RobustLoss:
    """Turn a name into its objective; a callable passes through.

    >>> as_robust_loss("madry")
    Madry()
    """
    if isinstance(loss, str):
        if loss not in ROBUST_LOSSES:
            raise Invalid("loss", loss, "a known objective", closest(loss, ROBUST_LOSSES))
        return ROBUST_LOSSES[loss]
    if not callable(loss):
        raise Invalid("loss", loss, "a name or a callable (model, x, y, worst) -> scalar")
    return loss
