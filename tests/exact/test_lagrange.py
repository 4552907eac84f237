"""The constant of Carlini and Wagner, early ends, and what attacks are not for."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from saddlepoint import CW, CWL0, EAD, JSMA, L0, L1, L2, CWLinf, DeepFool, Linf, nearest, search
from saddlepoint.attacks.hinge import State
from saddlepoint.core.errors import Invalid, Unsupported

X = torch.tensor([[0.5, 0.5], [0.7, 0.4], [0.2, 0.9]])
Y = torch.zeros(3, dtype=torch.int64)


def model(x: Tensor) -> Tensor:
    """Class 1 beyond a circle of radius 0.9 about the origin."""
    r = x.square().sum(1)
    return torch.stack([torch.full_like(r, 0.81), r], 1)


def test_c_is_bisected_between_what_failed_and_what_was_enough() -> None:
    one = torch.ones(1)
    s = State(one, one, one, 0 * one, one / 0, one, one)
    tried = []
    for won in (False, False, True, False, True):
        tried.append(float(s.c))
        s.tune(torch.tensor([won]))
    assert tried == [1.0, 10.0, 100.0, 55.0, 77.5]
    assert float(s.c) == pytest.approx((55.0 + 77.5) / 2)


@pytest.mark.parametrize("attack", [CW(steps=30, rounds=4), DeepFool()], ids=repr)
def test_a_round_boundary_is_met_where_it_is_nearest(attack: Any) -> None:  # noqa: ANN401
    found = nearest(attack, model, X, Y, L2(eps=1.4))
    want = (0.9 - X.norm(dim=1)).clamp(min=0)
    torch.testing.assert_close(found.size.float(), want, rtol=0.01, atol=1e-6)


def test_deepfool_leaves_a_row_once_it_has_crossed() -> None:
    """One step for a plane: clean, gradient, its end, then the questions on the way back."""
    w = torch.tensor([[0.0, 0.0], [1.0, 2.0]])
    found = nearest(
        DeepFool(), lambda x: x @ w.T + torch.tensor([2.0, 0.0]), X[:1], Y[:1], Linf(1.0)
    )
    assert found.cost.backward.tolist() == [1]
    assert found.size.tolist() == pytest.approx([(2 - 1.5) / 3], rel=2e-3)


def test_deepfool_draws_as_many_boundaries_as_there_are_rivals() -> None:
    w = torch.eye(4)
    x, y = torch.tensor([[0.9, 0.5, 0.6, 0.4]]), torch.zeros(1, dtype=torch.int64)
    for rivals, passes in ((1, 1), (2, 2), (9, 3)):
        found = nearest(DeepFool(rivals=rivals), lambda v: v @ w.T, x, y, L2(eps=2.0))
        assert found.cost.backward.tolist() == [passes]


def test_the_nearest_rival_need_not_score_best() -> None:
    """Class 1 scores better than class 2, whose boundary is nearer: its slope is ten times that."""
    w, b = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 10.0]]), torch.tensor([0.9, 0.0, -5.1])
    x, y = torch.tensor([[0.6, 0.5]]), torch.zeros(1, dtype=torch.int64)
    one, two = (
        float(nearest(DeepFool(rivals=n), lambda v: v @ w.T + b, x, y, L2(eps=1.4)).size)
        for n in (1, 2)
    )
    assert one == pytest.approx(0.3, rel=0.01)
    assert two == pytest.approx(0.1, rel=0.01)


def test_the_rules_prefer_different_breaks() -> None:
    """One value at 0.6 against two at 0.4: shorter in L1, longer in the elastic net."""
    one, two = torch.tensor([[0.6, 0.0]]), torch.tensor([[0.4, 0.4]])
    oracle: Any = SimpleNamespace(x=torch.zeros(1, 2), threat=L1(eps=1.0))
    for rule, first in (("size", True), ("elastic", False)):
        attack = EAD(rule=rule, beta=0.01)  # type: ignore[arg-type]
        assert (float(attack._size(oracle, one)) < float(attack._size(oracle, two))) is first


@pytest.mark.parametrize(
    ("attack", "threat", "match"),
    [
        (CWLinf(), L0(eps=1), "GradedConvex"),
        (DeepFool(), L0(eps=1), "GradedConvex"),
        (EAD(), L0(eps=1), "GradedConvex"),
        (CWL0(), L2(eps=1.0), "Places"),
        (JSMA(), L2(eps=1.0), "Places"),
    ],
    ids=repr,
)
def test_sets_that_an_attack_is_not_for(attack: Any, threat: Any, match: str) -> None:  # noqa: ANN401
    with pytest.raises(Unsupported, match=match):
        search(attack, model, X, Y, threat)


@pytest.mark.parametrize(
    ("kind", "bad"),
    [
        (CW, {"steps": 0}),
        (CW, {"rounds": 1.5}),
        (CW, {"kappa": -1}),
        (CW, {"step_size": 0}),
        (CW, {"loss": "hinge"}),
        (CWLinf, {"kappa": float("nan")}),
        (CWL0, {"drop": 1.0}),
        (DeepFool, {"overshoot": 0}),
        (DeepFool, {"rivals": 0}),
        (EAD, {"beta": -1}),
        (EAD, {"rule": "l2"}),
    ],
)
def test_bad_settings(kind: Any, bad: dict[str, Any]) -> None:  # noqa: ANN401
    with pytest.raises(Invalid, match=next(iter(bad))):
        kind(**bad)
