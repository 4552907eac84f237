"""Tell whether a machine-learning model can be relied on when someone wants it to fail."""

from saddlepoint.attacks import (
    APGD,
    FGSM,
    PGD,
    FrankWolfe,
    Guess,
    Momentum,
    Polish,
    RandomSearch,
    Restarts,
    Sequence,
    Square,
    Targets,
    WorstOf,
)
from saddlepoint.audit import About, Audit, Comparison, audit, compare
from saddlepoint.core.goal import Targeted, Untargeted
from saddlepoint.core.ledger import Budget, Status
from saddlepoint.core.loss import DLR, CrossEntropy, Margin, ProbabilityMargin
from saddlepoint.core.search import Found, search
from saddlepoint.data import load_data
from saddlepoint.models import load_model
from saddlepoint.threats import L1, L2, Linf, Quantize
from saddlepoint.train import TrainPlan, train

__all__ = [
    "APGD",
    "DLR",
    "FGSM",
    "L1",
    "L2",
    "PGD",
    "About",
    "Audit",
    "Budget",
    "Comparison",
    "CrossEntropy",
    "Found",
    "FrankWolfe",
    "Guess",
    "Linf",
    "Margin",
    "Momentum",
    "Polish",
    "ProbabilityMargin",
    "Quantize",
    "RandomSearch",
    "Restarts",
    "Sequence",
    "Square",
    "Status",
    "Targeted",
    "Targets",
    "TrainPlan",
    "Untargeted",
    "WorstOf",
    "audit",
    "compare",
    "load_data",
    "load_model",
    "search",
    "train",
]

__version__ = "0.1.0"
