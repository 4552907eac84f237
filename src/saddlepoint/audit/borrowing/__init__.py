"""What an audit takes from elsewhere: surrogates of the model, and runs on similar models."""

from saddlepoint.audit.borrowing.arms import Borrowed
from saddlepoint.audit.borrowing.runs import points_of
from saddlepoint.audit.borrowing.surrogates import surrogate_of, to_train

__all__ = ["Borrowed", "points_of", "surrogate_of", "to_train"]
