"""Objectives by name, with their defaults."""

from saddlepoint.core.errors import Invalid, closest
from saddlepoint.train.awp import AWP
from saddlepoint.train.certified import CROWNIBP, IBP, MTLIBP, SABR
from saddlepoint.train.gaussian import Gaussian
from saddlepoint.train.losses import MART, TRADES, Free, Madry, Natural, RobustLoss
from saddlepoint.train.sampled import Sampled

__all__ = ["ROBUST_LOSSES", "as_robust_loss"]

ROBUST_LOSSES: dict[str, RobustLoss] = {
    "natural": Natural(),
    "madry": Madry(),
    "trades": TRADES(),
    "mart": MART(),
    "free": Free(),
    "awp": AWP(),
    "ibp": IBP(),
    "crownibp": CROWNIBP(),
    "sabr": SABR(),
    "mtlibp": MTLIBP(),
    "gaussian": Gaussian(),
    "sampled": Sampled(),
}
"""Objectives by the names that plans and recipes take."""


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
