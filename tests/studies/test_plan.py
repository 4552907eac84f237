"""What the study computes."""

from typing import Any

import pytest

from saddlepoint import FGSM, PGD
from saddlepoint.core.errors import Invalid
from saddlepoint.models import build
from saddlepoint.studies import CapacityPlan, Cell
from saddlepoint.train import Madry, Natural, RobustLoss


def test_the_cells_are_the_papers() -> None:
    cells = CapacityPlan().cells
    assert [c.width for c in cells[::3]] == [2, 4, 8, 16, 32]
    assert [c.training for c in cells[:3]] == ["natural", "fgsm", "pgd"]
    narrowest = build("madry-mnist", options={"width": cells[0].width})
    # conv 2, conv 4 (5x5), linear 64, linear 10 on 28 x 28.
    assert sum(p.numel() for p in narrowest.parameters()) == 52 + 204 + 196 * 64 + 64 + 650


@pytest.mark.parametrize(
    ("training", "objective", "attack"),
    [
        ("natural", Natural(), FGSM()),
        ("fgsm", Madry(), FGSM()),
        ("pgd", Madry(), PGD(steps=7, step_size=0.36)),
    ],
)
def test_a_training_meets_its_adversary_unguarded(
    training: str, objective: RobustLoss, attack: FGSM | PGD
) -> None:
    plan = CapacityPlan().training(Cell(4, training), (1, 28, 28), 10)
    assert (plan.objective, plan.attack, plan.options) == (objective, attack, {"width": 8})
    assert (plan.guard, plan.keep, plan.threat.eps) == (False, "last", 0.3)


@pytest.mark.parametrize(("plan", "minutes"), [("full", 120), ("quick", 10)])
def test_the_estimate_keeps_to_the_budget(plan: str, minutes: int) -> None:
    chosen = CapacityPlan() if plan == "full" else CapacityPlan.quick()
    seconds = sum(sum(chosen.seconds(cell)) for cell in chosen.cells)
    assert 0.5 < seconds / 60 / minutes < 0.75


def test_which_cells_is_no_setting() -> None:
    plan = CapacityPlan()
    some = plan.choose((4, 1, 4), ("pgd",))
    assert [c.name for c in some.cells] == ["x1-pgd", "x4-pgd"]
    assert some.settings() == plan.settings() != CapacityPlan.quick().settings()
    assert plan.choose(None, None) == plan


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"multipliers": (1, 3)}, r"multipliers = 3: must be one of 1, 2, 4, 8, 16"),
        ({"multipliers": ()}, r"multipliers = \(\): must be at least one"),
        ({"trainings": ("pdg",)}, r"trainings = 'pdg': .* did you mean pgd"),
        ({"train_n": 1}, r"train_n = 1: must be a whole number of at least 2"),
        ({"test_steps": 0}, r"test_steps = 0"),
        ({"epochs": True}, r"epochs = True"),
    ],
)
def test_what_cannot_be_is_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        CapacityPlan(**changed)
