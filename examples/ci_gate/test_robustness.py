"""The promise as a test among the others of the project: pytest test_robustness.py."""

from model import model, samples

import saddlepoint as sp
from saddlepoint.testing import assert_robust


def test_the_model_withstands_small_changes() -> None:
    """On too few samples, a failed attack or a failed health check, the test fails."""
    result = assert_robust(model(), samples(), sp.Linf(eps=0.03), at_least=0.8, effort="quick")
    assert result.clean_accuracy >= 0.9


def test_some_of_it_is_proved() -> None:
    """The share that no attack whatever can break."""
    options = {"certified": True, "verify": 10.0, "effort": "quick"}
    assert_robust(model(), samples(30), sp.Linf(eps=0.03), at_least=0.6, **options)
