"""Tell whether a machine-learning model can be relied on when someone wants it to fail."""

from saddlepoint.attacks import (
    APGD,
    FGSM,
    PGD,
    FrankWolfe,
    Momentum,
    RandomSearch,
    Restarts,
    Sequence,
    Targets,
)
from saddlepoint.core.goal import Targeted, Untargeted
from saddlepoint.core.ledger import Budget, Status
from saddlepoint.core.loss import DLR, CrossEntropy, Margin, ProbabilityMargin
from saddlepoint.core.search import Found, search
from saddlepoint.threats import L1, L2, Linf, Quantize

__all__ = [
    "APGD",
    "DLR",
    "FGSM",
    "L1",
    "L2",
    "PGD",
    "Budget",
    "CrossEntropy",
    "Found",
    "FrankWolfe",
    "Linf",
    "Margin",
    "Momentum",
    "ProbabilityMargin",
    "Quantize",
    "RandomSearch",
    "Restarts",
    "Sequence",
    "Status",
    "Targeted",
    "Targets",
    "Untargeted",
    "search",
]

__version__ = "0.1.0"
