"""Models of other libraries, asked for scores or labels."""

from saddlepoint.models.foreign.adapt import as_model
from saddlepoint.models.foreign.arrays import Arrays
from saddlepoint.models.foreign.estimator import Estimator
from saddlepoint.models.foreign.session import SessionScores

__all__ = ["Arrays", "Estimator", "SessionScores", "as_model"]
