"""For test suites: promises about models, and laws that sets and attacks of your own must obey."""

from saddlepoint.testing.promise import assert_robust
from saddlepoint.testing.searches import check_attack
from saddlepoint.testing.sets import check_threat

__all__ = ["assert_robust", "check_attack", "check_threat"]
