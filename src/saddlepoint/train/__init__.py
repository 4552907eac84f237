"""Minimise the worst case: natural and adversarial training, measured, guarded, resumable."""

from saddlepoint.train.awp import AWP
from saddlepoint.train.card import write_card
from saddlepoint.train.certified import CROWNIBP, IBP, MTLIBP, SABR
from saddlepoint.train.gaussian import Gaussian
from saddlepoint.train.guard import Event
from saddlepoint.train.history import Epoch
from saddlepoint.train.loop import Trained, train
from saddlepoint.train.losses import MART, TRADES, Divergence, Free, Madry, Natural, RobustLoss
from saddlepoint.train.objectives import ROBUST_LOSSES, as_robust_loss
from saddlepoint.train.plan import TrainPlan
from saddlepoint.train.sampled import Sampled
from saddlepoint.train.single_step import NFGSM
from saddlepoint.train.step import Diverged
from saddlepoint.train.worst import Inner, Worst

__all__ = [
    "AWP",
    "CROWNIBP",
    "IBP",
    "MART",
    "MTLIBP",
    "NFGSM",
    "ROBUST_LOSSES",
    "SABR",
    "TRADES",
    "Diverged",
    "Divergence",
    "Epoch",
    "Event",
    "Free",
    "Gaussian",
    "Inner",
    "Madry",
    "Natural",
    "RobustLoss",
    "Sampled",
    "TrainPlan",
    "Trained",
    "Worst",
    "as_robust_loss",
    "train",
    "write_card",
]
