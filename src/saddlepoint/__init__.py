"""Tell whether a machine-learning model can be relied on when someone wants it to fail."""

from saddlepoint.attacks import (
    APGD,
    DDN,
    FAB,
    FGSM,
    FMN,
    PDPGD,
    PGD,
    Bisect,
    FrankWolfe,
    Guess,
    Momentum,
    Polish,
    RandomSearch,
    Restarts,
    Sequence,
    SigmaZero,
    Square,
    Targets,
    WorstOf,
)
from saddlepoint.audit import (
    About,
    Audit,
    Comparison,
    Curve,
    Radii,
    Radius,
    RadiusSearch,
    Smoothed,
    Verification,
    audit,
    certified_radii,
    compare,
    curve,
    smooth,
)
from saddlepoint.core.expectation import Expectation
from saddlepoint.core.goal import Targeted, Untargeted
from saddlepoint.core.ledger import Budget, Status
from saddlepoint.core.loss import DLR, CrossEntropy, Margin, ProbabilityMargin
from saddlepoint.core.nearest import Nearest, nearest
from saddlepoint.core.search import Found, search
from saddlepoint.data import load_data
from saddlepoint.models import load_model
from saddlepoint.threats import L0, L1, L2, Linf, Quantize
from saddlepoint.train import TrainPlan, train
from saddlepoint.verify import Smoothing

__all__ = [
    "APGD",
    "DDN",
    "DLR",
    "FAB",
    "FGSM",
    "FMN",
    "L0",
    "L1",
    "L2",
    "PDPGD",
    "PGD",
    "About",
    "Audit",
    "Bisect",
    "Budget",
    "Comparison",
    "CrossEntropy",
    "Curve",
    "Expectation",
    "Found",
    "FrankWolfe",
    "Guess",
    "Linf",
    "Margin",
    "Momentum",
    "Nearest",
    "Polish",
    "ProbabilityMargin",
    "Quantize",
    "Radii",
    "Radius",
    "RadiusSearch",
    "RandomSearch",
    "Restarts",
    "Sequence",
    "SigmaZero",
    "Smoothed",
    "Smoothing",
    "Square",
    "Status",
    "Targeted",
    "Targets",
    "TrainPlan",
    "Untargeted",
    "Verification",
    "WorstOf",
    "audit",
    "certified_radii",
    "compare",
    "curve",
    "load_data",
    "load_model",
    "nearest",
    "search",
    "smooth",
    "train",
]

__version__ = "0.1.0"
