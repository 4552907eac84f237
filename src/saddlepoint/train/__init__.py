"""Minimise the worst case: natural and adversarial training, measured each epoch, resumable."""

from saddlepoint.train.history import Epoch
from saddlepoint.train.loop import Trained, train
from saddlepoint.train.losses import Madry, Natural, RobustLoss, as_robust_loss
from saddlepoint.train.plan import TrainPlan
from saddlepoint.train.run import Diverged
from saddlepoint.train.worst import Inner, Worst

__all__ = [
    "Diverged",
    "Epoch",
    "Inner",
    "Madry",
    "Natural",
    "RobustLoss",
    "TrainPlan",
    "Trained",
    "Worst",
    "as_robust_loss",
    "train",
]
