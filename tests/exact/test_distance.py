"""Each minimum-norm attack at its defaults finds a break within 1 % of the nearest one."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from scipy import optimize

from saddlepoint import APGD, CWL0, DDN, FAB, FMN, L0, L1, L2, PGD, Bisect, Linf, SigmaZero, Targets
from tests.exact.distance import ratios, smallest
from tests.exact.linear import WEIGHTS, inputs, weights
from tests.table import ATTACKS, AttackRow

BALL = pytest.mark.parametrize("ball", [Linf, L2, L1], ids=["linf", "l2", "l1"])
# All three where one says enough of a change in the code.
FEW = pytest.mark.parametrize(
    "ball",
    [pytest.param(Linf, marks=pytest.mark.slow), L2, pytest.param(L1, marks=pytest.mark.slow)],
    ids=["linf", "l2", "l1"],
)
KIND = pytest.mark.parametrize("kind", WEIGHTS)
BALLS = {"linf": Linf, "l2": L2, "l1": L1}
# Each attack in the sets in which it looks for the smallest change.
PAIRS = [
    (a, name, ball)
    for a in ATTACKS
    for name, ball in BALLS.items()
    if a.sized and a.default and ball.order in a.orders
]
PAIR = pytest.mark.parametrize(
    ("attack", "ball"), [pytest.param(a, ball, id=f"{a.name}-{name}") for a, name, ball in PAIRS]
)
FEW_PAIRS = pytest.mark.parametrize(
    ("attack", "ball"),
    [
        pytest.param(a, ball, id=f"{a.name}-{name}", marks=[pytest.mark.slow] * (name != "l2"))
        for a, name, ball in PAIRS
    ],
)
# Of losses that an attack does not choose itself: cross-entropy underflows far from the boundary.
FAR = {"loss": "margin"}


@PAIR
@pytest.mark.parametrize(
    ("kind", "dims"),
    [
        pytest.param("heavy-tailed", 8, marks=pytest.mark.slow),
        ("spread", 64),
        pytest.param("normal", 196, marks=pytest.mark.slow),
    ],
)
def test_the_distance_is_found(attack: AttackRow, ball: Any, kind: str, dims: int) -> None:  # noqa: ANN401
    share = ratios(attack.default, kind, dims, ball, **FAR)
    assert float(share.min()) >= 0.99
    assert float(share.max()) <= 1 + 1e-4


@FEW_PAIRS
def test_a_target_among_three_classes(attack: AttackRow, ball: Any) -> None:  # noqa: ANN401
    share = ratios(attack.default, "heavy-tailed", 64, ball, targeted=True, **FAR)
    assert float(share.min()) >= 0.99


@FEW
@pytest.mark.parametrize(
    "attack",
    [Targets(FMN(), n=2), Targets(DDN(), n=2), Targets(FAB(), n=2), FAB(rivals=2)],
    ids=repr,
)
def test_the_nearest_of_three_classes(attack: Any, ball: Any) -> None:  # noqa: ANN401
    """The class with the best score need not be the nearest: somebody has to try each."""
    share = ratios(attack, "heavy-tailed", 64, ball, classes=3)
    assert float(share.min()) >= 0.99


@pytest.mark.slow
@PAIR
@KIND
@pytest.mark.parametrize("lead", [0.02, 0.1, 0.5])
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("dims", [8, 64, 784])
def test_whatever_the_seed(
    attack: AttackRow,
    ball: Any,  # noqa: ANN401
    kind: str,
    dims: int,
    seed: int,
    lead: float,
) -> None:
    share = ratios(attack.default, kind, dims, ball, seed=seed, lead=lead, **FAR)
    assert float(share.min()) >= 0.99


@BALL
@pytest.mark.parametrize("attack", [FMN(), DDN()], ids=repr)
def test_low_precision_loses_little(attack: Any, ball: Any) -> None:  # noqa: ANN401
    share = ratios(attack, "normal", 64, ball, precision="bfloat16")
    assert float(share.min()) >= 0.97


@KIND
@pytest.mark.parametrize(
    "dims",
    [pytest.param(8, marks=pytest.mark.slow), 64, pytest.param(196, marks=pytest.mark.slow)],
)
@pytest.mark.parametrize(
    "attack", [FMN(), Bisect(PGD(loss="margin")), SigmaZero(steps=100), CWL0()], ids=repr
)
def test_the_fewest_values(attack: Any, kind: str, dims: int) -> None:  # noqa: ANN401
    assert ratios(attack, kind, dims, L0, lead=0.3).tolist() == [1.0] * 6


@pytest.mark.slow
@KIND
@pytest.mark.parametrize("lead", [0.02, 0.1, 0.6])
@pytest.mark.parametrize("dims", [8, 64, 784])
def test_sigma_zero_finds_the_fewest_values(kind: str, dims: int, lead: float) -> None:
    assert ratios(SigmaZero(), kind, dims, L0, lead=lead).tolist() == [1.0] * 6


@FEW
def test_bisection_closes_in_with_any_attack(ball: Any) -> None:  # noqa: ANN401
    share = ratios(Bisect(APGD(loss="margin")), "normal", 64, ball)
    assert float(share.min()) >= 0.99


@BALL
def test_an_ordinary_attack_finds_breaks_but_not_the_nearest(ball: Any) -> None:  # noqa: ANN401
    share = ratios(PGD(loss="margin"), "normal", 64, ball)
    assert 0 < float(share.max()) < 0.9


def by_linear_programme(x: np.ndarray, g: np.ndarray, b: float, order: float) -> float:
    """Least t, u = p - q with p, q >= 0 and ||u|| <= t."""
    d = len(x)
    sides = [(0, float(a)) for a in (*(1 - x), *x)]
    reach = np.concatenate([-g, g])
    if order == 1:
        return float(optimize.linprog(np.ones(2 * d), [reach], [-b], bounds=sides).fun)
    each = np.hstack([np.eye(2 * d), -np.ones((2 * d, 1))])
    rows, limits = np.vstack([each, [*reach, 0]]), [*np.zeros(2 * d), -b]
    cost = [*np.zeros(2 * d), 1]
    return float(optimize.linprog(cost, rows, limits, bounds=[*sides, (0, None)]).fun)


def by_slsqp(x: np.ndarray, g: np.ndarray, b: float) -> float:
    found = optimize.minimize(
        lambda u: float(u @ u),
        np.where(g > 0, 1 - x, -x),
        jac=lambda u: 2 * u,
        bounds=[(-a, 1 - a) for a in x],
        constraints=[{"type": "ineq", "fun": lambda u: g @ u - b, "jac": lambda u: g}],
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 1000},
    )
    return math.sqrt(found.fun)


@BALL
@KIND
@pytest.mark.parametrize("share", [0.05, 0.6])
def test_the_closed_form_is_what_a_solver_finds(ball: Any, kind: str, share: float) -> None:  # noqa: ANN401
    for x, g in zip(inputs(5, 3).numpy(), weights(kind, 6, 5, 9).numpy(), strict=True):
        b = share * float(np.abs(g) @ np.where(g > 0, 1 - x, x))
        got, order = smallest(x, g, b, ball.order), ball.order
        want = by_slsqp(x, g, b) if order == 2 else by_linear_programme(x, g, b, order)
        assert got == pytest.approx(want, rel=1e-5)


@KIND
def test_the_count_is_what_trying_all_finds(kind: str) -> None:
    for x, g in zip(inputs(6, 3).numpy(), weights(kind, 6, 6, 9).numpy(), strict=True):
        gain = np.abs(g) * np.where(g > 0, 1 - x, x)
        subsets = [c for k in range(7) for c in itertools.combinations(range(6), k)]
        for share in (0.3, 0.8):
            b = share * gain.sum()
            assert smallest(x, g, b, 0.0) == min(len(c) for c in subsets if gain[list(c)].sum() > b)


def test_what_the_box_does_not_allow_has_no_distance() -> None:
    assert smallest(np.array([0.5]), np.array([1.0]), 0.6, 2.0) == math.inf
    assert smallest(np.array([0.5]), np.array([1.0]), 0.4, 2.0) == pytest.approx(0.4)
