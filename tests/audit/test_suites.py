"""The standard suite does what its name promises: published order, settings, cost and outcome."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.audit.suites import cascade

SHARED = Path(__file__).parents[3] / "shared"
MODELS = SHARED / "models"


class Firm(nn.Module):
    """Ten classes, one so far ahead that nothing in the set breaks it, with gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 10)

    def forward(self, x: Tensor) -> Tensor:
        ahead = torch.zeros(10)
        ahead[3] = 1e3
        return self.layer(x.flatten(1)) + ahead


@pytest.mark.slow
def test_autoattack_costs_what_it_is_published_to_cost() -> None:
    """Forward and backward passes on a survivor: 102/101, 918/909, 1826/900, 5001/0."""
    x, y = torch.rand(2, 1, 2, 2), torch.full((2,), 3)
    result = sp.audit(Firm(), (x, y), sp.Linf(0.1), "autoattack", figures=0, probes=0, force=True)
    spent = [(r.forward.max(), r.backward.max()) for r in result.evidence.attacks]
    published = [(102, 101), (918, 909), (1826, 900), (5001, 0)]
    for (f, b), (wanted_f, wanted_b) in zip(spent, published, strict=True):
        assert f == pytest.approx(wanted_f, rel=0.02)
        assert b == pytest.approx(wanted_b, rel=0.02, abs=1)
    assert [r.arm for r in result.evidence.attacks] == [
        "APGD(loss='cross-entropy')",
        "Targets(APGD(loss='dlr'))",
        "Targets(FAB())",
        "Square()",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "peer"), [("mnist-fgsm", 83), ("mnist-pgd", 89)])
def test_autoattack_leaves_what_another_implementation_leaves(
    name: str, peer: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first 100 test images; ``peer`` is what torchattacks leaves (benchmarks/audit.py)."""
    if not (MODELS / f"{name}.safetensors").exists():
        pytest.skip("shared/models is not beside this checkout")
    monkeypatch.setenv("SADDLEPOINT_DATA", str(SHARED / "data"))
    split = sp.load_data("mnist").split("test")
    model = sp.load_model(MODELS / f"{name}.safetensors", "conv-small").model
    options = {"n": 100, "figures": 0, "probes": 0}
    suite = sp.audit(model, split, sp.Linf(0.3), "autoattack", **options)  # type: ignore[arg-type]
    assert abs(100 * suite.robust_accuracy - peer) <= 2
    ours = sp.audit(model, split, sp.Linf(0.3), **options)  # type: ignore[arg-type]
    assert 100 * ours.robust_accuracy <= peer + 0.2
    assert ours.evidence.passes() <= 300


def test_round_balls_are_searched_by_noise_and_for_the_nearest_break_as_well() -> None:
    """Where ascent is led astray, these often are not; in a box signs do as well."""
    box = cascade(threat=sp.Linf(0.1))
    assert sp.NoisyPGD() not in (box.opening, *(ladder.rungs[0] for ladder in box.ladders))
    for threat in (sp.L2(1.0), sp.L1(5.0)):
        found = cascade(threat=threat)
        assert found.opening == sp.NoisyPGD()
        assert found.ladders[1:-1] == box.ladders
        assert sp.FAB(steps=50) == found.ladders[-1].rungs[0]
    assert len(cascade("scores", threat=sp.L2(1.0)).ladders) == len(cascade("scores").ladders)


@pytest.mark.slow
def test_a_net_that_hides_its_gradients_in_l2_is_broken_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first 40 test images at 2.0: ascent and squares alone, in as many passes, leave 52 %."""
    if not (MODELS / "mnist-fgsm.safetensors").exists():
        pytest.skip("shared/models is not beside this checkout")
    monkeypatch.setenv("SADDLEPOINT_DATA", str(SHARED / "data"))
    split = sp.load_data("mnist").split("test")
    model = sp.load_model(MODELS / "mnist-fgsm.safetensors", "conv-small").model
    found = sp.audit(model, split, sp.L2(2.0), n=40, figures=0, probes=0)
    assert found.robust_accuracy <= 0.1
    assert found.evidence.passes() <= 300


def test_noise_that_finds_a_slope_does_not_hide_that_there_is_none() -> None:
    """Every gradient at a sample is zero; those of the opening, at noise around it, are not."""

    class Saturated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(60, 2)
            with torch.no_grad():
                self.layer.weight.copy_(torch.stack([torch.zeros(60), torch.ones(60)]))
                self.layer.bias.copy_(torch.tensor([9.0, 0.0]))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.layer((x - 0.4).clamp(0, 0.3))
            return out

    x, y = torch.zeros(100, 60), torch.zeros(100).long()
    x[50:], y[50:] = 1.0, 1  # lies far beyond the floor, and is as flat
    found = sp.audit(Saturated(), (x, y), sp.L2(0.5), effort="quick", figures=0)
    (said,) = (f for f in found.document["findings"] if f["check"] == "gradients")
    assert said["verdict"] == "fail"
    assert "100.0%" in said["measured"]
