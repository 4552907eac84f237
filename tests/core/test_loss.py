"""Losses against slow loops in numpy, from two classes on, with gradients checked."""

import math

import numpy as np
import pytest
import torch

from saddlepoint.core.goal import Goal, Targeted, Untargeted
from tests.table import GOALS, LOSSES, GoalRow

Z = np.ndarray


def logits(classes: int, n: int = 40, seed: int = 0) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed + classes)
    return 3 * torch.randn(n, classes, generator=rng, dtype=torch.float64)


def others(z: Z, k: int) -> list[float]:
    return [v for i, v in enumerate(z.tolist()) if i != k]


def slow_margin(z: Z, label: int, source: int | None, targeted: bool) -> float:
    m = max(others(z, label)) - z[label]
    return float(-m if targeted else m)


def slow_cross_entropy(z: Z, label: int, source: int | None, targeted: bool) -> float:
    p = np.exp(z - z.max())
    logp = math.log(p[label] / p.sum())
    return logp if targeted else -logp


def slow_probability_margin(z: Z, label: int, source: int | None, targeted: bool) -> float:
    p = np.exp(z - z.max())
    return slow_margin(p / p.sum(), label, source, targeted)


def slow_dlr(z: Z, label: int, source: int | None, targeted: bool) -> float:
    s = sorted(z.tolist(), reverse=True)
    if not targeted:
        top = -(z[label] - max(others(z, label)))
        return float(top if len(s) < 3 else top / (s[0] - s[2]))
    leave = max(others(z, label)) if source is None else z[source]
    top = -(leave - z[label])
    return float(top if len(s) < 4 else top / (s[0] - (s[2] + s[3]) / 2))


SLOW = {
    "margin": slow_margin,
    "cross-entropy": slow_cross_entropy,
    "probability-margin": slow_probability_margin,
    "dlr": slow_dlr,
}
LOSS = pytest.mark.parametrize("loss", LOSSES)
GOAL = pytest.mark.parametrize("goal", GOALS, ids=lambda r: r.name)


def make(goal: GoalRow, classes: int, n: int = 40) -> Goal:
    return goal.make(torch.arange(n) % classes, classes)


@LOSS
@GOAL
@pytest.mark.parametrize("classes", [2, 3, 4, 5, 10])
def test_equals_the_slow_loop(loss: str, goal: GoalRow, classes: int) -> None:
    z, aim = logits(classes), make(goal, classes)
    got = LOSSES[loss](z, aim).tolist()
    source = getattr(aim, "source", None)
    for i, value in enumerate(got):
        leave = None if source is None else int(source[i])
        want = SLOW[loss](z[i].numpy(), int(aim.label[i]), leave, goal.targeted)  # type: ignore[attr-defined]
        assert value == pytest.approx(want, rel=1e-6, abs=1e-9)


@LOSS
@GOAL
@pytest.mark.parametrize("classes", [2, 3, 4, 6])
def test_gradients(loss: str, goal: GoalRow, classes: int) -> None:
    z = logits(classes, 6).requires_grad_()
    assert torch.autograd.gradcheck(lambda t: LOSSES[loss](t, make(goal, classes, 6)), z)


@LOSS
@GOAL
@pytest.mark.parametrize("value", [0.0, 1e4, -1e4])
@pytest.mark.parametrize("classes", [2, 5])
def test_equal_scores_are_finite(loss: str, goal: GoalRow, value: float, classes: int) -> None:
    z = torch.full((4, classes), value, requires_grad=True)
    out = LOSSES[loss](z, make(goal, classes, 4))
    (g,) = torch.autograd.grad(out.sum(), z)
    assert bool(out.isfinite().all())
    assert bool(g.isfinite().all())


@GOAL
def test_the_sign_of_the_margin_is_the_verdict(goal: GoalRow) -> None:
    z, aim = logits(5, 400), make(goal, 5, 400)
    said = z.argmax(1)
    reached = said == aim.label if goal.targeted else said != aim.label  # type: ignore[attr-defined]
    assert torch.equal(aim.margin(z) > 0, reached)


@GOAL
def test_a_tie_is_not_a_break(goal: GoalRow) -> None:
    assert make(goal, 3, 3).margin(torch.ones(3, 3)).tolist() == [0.0] * 3


@pytest.mark.parametrize("gap", [0.0, 5.0, 18.0, 30.0, 60.0])
@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("classes", [2, 3])
def test_cross_entropy_points_the_right_way_where_the_model_is_sure(
    gap: float, targeted: bool, classes: int
) -> None:
    """In float32, 1 - p_y is zero beyond a gap of 17: the label's logit lost its gradient."""
    z = torch.zeros(1, classes)
    z[0, 0] = gap
    z.requires_grad_()
    aim: Goal = Targeted(torch.tensor([1])) if targeted else Untargeted(torch.tensor([0]))
    (g,) = torch.autograd.grad(LOSSES["cross-entropy"](z, aim).sum(), z)
    exact = z.detach().double().requires_grad_()
    p = exact.softmax(1).detach()[0]
    want = p.clone()
    want[0] = -p[1:].sum()  # d -log p_0 / dz_0 = p_0 - 1, without the cancellation
    if targeted:
        want = -p.clone()
        want[1] = p[0] + p[2:].sum()
    torch.testing.assert_close(g[0].double(), want, rtol=1e-4, atol=0)


@LOSS
@GOAL
@pytest.mark.parametrize("gap", [3.0, 18.0])
@pytest.mark.parametrize("classes", [2, 5])
def test_gradients_of_float32_scores_sum_to_zero(
    loss: str, goal: GoalRow, gap: float, classes: int
) -> None:
    """Adding a constant to all scores changes no loss; rounding must not say otherwise."""
    z = logits(classes, 8).float()
    z[torch.arange(8), torch.arange(8) % classes] += gap
    z.requires_grad_()
    (g,) = torch.autograd.grad(LOSSES[loss](z, make(goal, classes, 8)).sum(), z)
    assert bool((g.sum(1).abs() <= 1e-3 * g.abs().amax(1)).all())


def test_goals_are_indexed_with_their_source() -> None:
    aim = Targeted(torch.tensor([0, 1, 2]), torch.tensor([2, 0, 1]))[torch.tensor([2, 0])]
    assert aim.label.tolist() == [2, 0]
    assert aim.source is not None
    assert aim.source.tolist() == [1, 2]
