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
        out = net(x)
        return torch.where((x.flatten(1).amax(1) > 1.01)[:, None], torch.nan, out)

    with pytest.raises(Invalid, match="at_least"):
        assert_robust(net, (x, y), sp.Linf(0.0), at_least=80)
    result = assert_robust(
        fragile, (x, y), sp.Linf(0.0), at_least=0.9, attacks=(sp.FGSM(),), probes=0
    )
    assert result.document["counts"]["error"] == 0


def test_a_proof_can_be_promised() -> None:
    net, x, y = natural()
    assert_robust(net, (x, y), sp.Linf(0.001), 0.5, certified=True, verify=20.0, **QUICK)
    with pytest.raises(Invalid, match="verify"):
        assert_robust(net, (x, y), sp.Linf(0.001), 0.5, certified=True)
