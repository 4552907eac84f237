"""``assert_robust``: a promise about a model as a test."""

from pathlib import Path

import pytest
import torch

import saddlepoint as sp
from saddlepoint.core.errors import Invalid
from saddlepoint.testing import assert_robust
from tests.audit.nets import natural

QUICK = {"effort": "quick", "figures": 0, "probes": 0}


def test_a_kept_promise_returns_the_audit() -> None:
    net, x, y = natural()
    result = assert_robust(net, (x, y), sp.Linf(0.02), at_least=0.5, **QUICK)
    assert result.robust_accuracy >= 0.5


def test_a_broken_promise_says_how_and_where(tmp_path: Path) -> None:
    net, x, y = natural()
    said = r"of 48 samples withstood under Linf\(eps=0.3\), at least 90.00 %|report.html"
    with pytest.raises(AssertionError, match=said.replace(" %", "%")):
        assert_robust(net, (x, y), sp.Linf(0.3), at_least=0.9, out=tmp_path / "run", **QUICK)
    assert (tmp_path / "run/report.html").exists()


def test_failed_attacks_are_no_robustness() -> None:
    net, x, y = natural()

    def fragile(x: torch.Tensor) -> torch.Tensor:
        """No answer where an empty pixel has been touched."""
        touched = ((x > 0) & (x < 0.01)).flatten(1).any(1)
        return torch.where(touched[:, None], torch.nan, net(x))

    few = {"attacks": (sp.FGSM(),), "figures": 0, "probes": 0}
    result = sp.audit(fragile, (x, y), sp.Linf(0.005), **few)
    assert result.document["counts"]["error"] > 24
    assert result.robust_accuracy > 0.9
    share = result.robust_accuracy - result.document["counts"]["error"] / 48
    with pytest.raises(AssertionError, match=f"^{share:.2%} of 48 samples withstood"):
        assert_robust(fragile, (x, y), sp.Linf(0.005), at_least=0.5, **few)


def test_a_promise_is_a_share() -> None:
    net, x, y = natural()
    with pytest.raises(Invalid, match="at_least"):
        assert_robust(net, (x, y), sp.Linf(0.0), at_least=80)


def test_a_proof_can_be_promised() -> None:
    net, x, y = natural()
    assert_robust(net, (x, y), sp.Linf(0.001), 0.5, certified=True, verify=20.0, **QUICK)
    with pytest.raises(Invalid, match="verify"):
        assert_robust(net, (x, y), sp.Linf(0.001), 0.5, certified=True)
