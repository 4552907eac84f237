"""A goal reached by more than kappa, whatever the attack."""

import pytest
import torch

from saddlepoint import CW, L2, PGD, Targeted, Untargeted, nearest, search
from saddlepoint.core.errors import Invalid
from saddlepoint.core.goal import Confident

W = torch.tensor([[3.0, 0.0], [0.0, 4.0], [-1.0, 0.0]])
X = torch.tensor([[0.6, 0.2], [0.9, 0.1]])
Y = torch.zeros(2, dtype=torch.int64)
GOALS = pytest.mark.parametrize("goal", [Untargeted(Y), Targeted(Y + 1)], ids=repr)


def model(x: torch.Tensor) -> torch.Tensor:
    return x @ W.T


@GOALS
@pytest.mark.parametrize(
    "attack", [CW(steps=10), CW(steps=10, kappa=0.5), PGD(loss="margin")], ids=repr
)
def test_witnesses_are_that_far_out(goal: Untargeted | Targeted, attack: CW | PGD) -> None:
    found = search(attack, model, X, Confident(goal, kappa=0.5), L2(eps=1.0))
    assert found.broken.all()
    assert bool((goal.margin(model(found.x_adv)) > 0.5).all())


def test_the_distance_grows_by_what_the_margin_needs() -> None:
    goal = Untargeted(Y)
    for kappa in (0.0, 0.8):
        size = nearest(CW(steps=60, rounds=3), model, X, Confident(goal, kappa), L2(eps=1.4)).size
        want = (kappa - goal.margin(model(X))) / 5  # |(3, -4)| = 5; the range is far
        torch.testing.assert_close(size.float(), want, rtol=5e-3, atol=0)


def test_rows() -> None:
    goal = Confident(Untargeted(torch.tensor([0, 1])), 1.0)[torch.tensor([1])]
    assert goal.margin(torch.tensor([[5.0, 2.0]])).tolist() == [2.0]


@pytest.mark.parametrize("kappa", [-1.0, float("nan"), float("inf"), True, "1"])
def test_bad_kappa(kappa: float) -> None:
    with pytest.raises(Invalid, match="kappa"):
        Confident(Untargeted(Y), kappa)
    with pytest.raises(Invalid, match="kappa"):
        CW(kappa=kappa)
