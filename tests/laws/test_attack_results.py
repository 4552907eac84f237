"""Laws of what an attack returns: contained, never better than clean, and true of the model."""

import pytest
import torch

from saddlepoint import PGD, Restarts, Status, Targets, Untargeted, search
from tests.laws.models import SHAPE, alone, mlp, problem, run
from tests.table import ATTACKS, GOALS, LOSSES, THREATS, AttackRow, GoalRow, ThreatRow

ATTACK = pytest.mark.parametrize("attack", ATTACKS, ids=lambda r: r.name)
LINF, L2, L1 = THREATS[:3]
NAMES = ("linf", "l2", "l1", "l2-each", "l1-zero", "l2-bytes", "linf-8bit")
FEW = [r for r in THREATS if r.name in NAMES]
THREAT = pytest.mark.parametrize("row", FEW, ids=lambda r: r.name)


@ATTACK
@THREAT
@pytest.mark.parametrize("early_stop", [pytest.param(True, marks=pytest.mark.slow), False])
def test_results_are_contained_worse_and_true(
    attack: AttackRow, row: ThreatRow, early_stop: bool
) -> None:
    net, x, y, threat = problem(row)
    found = search(attack.small, net, x, y, threat, early_stop=early_stop)
    assert found.error is None
    assert bool(threat.contains(x, found.u, 1e-6).all())
    assert row.excess(x, found.x_adv).max() <= 2e-6 * max(1.0, row.eps)
    assert torch.equal(found.x_adv, threat.apply(x, found.u))
    assert bool((found.margin >= found.clean_margin - 1e-12).all())
    true = alone(net, found.x_adv, Untargeted(y))
    torch.testing.assert_close(found.margin, true, rtol=1e-9, atol=1e-9)
    assert [s is Status.BROKEN for s in found.status] == (true > 0).tolist()
    assert set(found.status) <= {Status.BROKEN, Status.SURVIVED}
    assert found.x_adv.dtype == x.dtype


@ATTACK
@pytest.mark.parametrize("row", [r for r in FEW if r.box == (0.0, 1.0)], ids=lambda r: r.name)
def test_float32_results_never_leave_the_unit_box(attack: AttackRow, row: ThreatRow) -> None:
    net, x, y, threat = problem(row, dtype=torch.float32)
    found = search(attack.small, net, x, y, threat, early_stop=False)
    assert float(found.x_adv.min()) >= 0.0
    assert float(found.x_adv.max()) <= 1.0
    assert bool(threat.contains(x, found.u, 1e-6).all())


@ATTACK
@pytest.mark.parametrize("goal", GOALS, ids=lambda r: r.name)
@pytest.mark.parametrize("classes", [pytest.param(2, marks=pytest.mark.slow), 5])
def test_every_goal_from_two_classes_on(attack: AttackRow, goal: GoalRow, classes: int) -> None:
    net, x, y, threat = problem(L2, classes=classes)
    aim = goal.make(y, classes)
    found = search(attack.small, net, x, aim, threat, early_stop=False)
    assert found.error is None
    assert set(found.status) <= {Status.BROKEN, Status.SURVIVED}
    true = alone(net, found.x_adv, aim)
    torch.testing.assert_close(found.margin, true, rtol=1e-9, atol=1e-9)
    assert bool((found.margin > found.clean_margin).any())
    with torch.no_grad():
        said = net.eval()(found.x_adv).argmax(1)
    reached = said == aim.label if goal.targeted else said != aim.label
    assert torch.equal(reached, found.broken)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("goal", GOALS, ids=lambda r: r.name)
def test_every_loss_climbs(loss: str, goal: GoalRow) -> None:
    net, x, y, threat = problem(LINF)
    found = search(PGD(), net, x, goal.make(y, 4), threat, loss=loss, early_stop=False)
    assert bool((found.margin > found.clean_margin).all())


@pytest.mark.parametrize("row", [LINF, L2, L1], ids=lambda r: r.name)
def test_more_restarts_are_never_worse(row: ThreatRow) -> None:
    one = run(Restarts(PGD(steps=1, step_size=0.1), n=1), row, early_stop=False).margin
    three = run(Restarts(PGD(steps=1, step_size=0.1), n=3), row, early_stop=False).margin
    assert bool((three >= one).all())
    assert bool((three > one + 1e-6).any())


@pytest.mark.parametrize("order", ["strong first", "weak first"])
def test_a_sequence_keeps_the_worst_of_all(order: str) -> None:
    from saddlepoint import FGSM, Sequence

    strong, weak = PGD(steps=20, start="clean"), PGD(steps=1, step_size=1e-3)
    pair = (strong, weak) if order == "strong first" else (weak, strong)
    both = run(Sequence((*pair, FGSM())), L2, early_stop=False).margin
    assert bool((both >= run(strong, L2, early_stop=False).margin - 1e-12).all())


@pytest.mark.parametrize("classes", [2, 3, 4, 5])
def test_targets_aims_at_every_other_class_once_best_first(classes: int) -> None:
    net, x, y, threat = problem(LINF, classes=classes)
    seen: list[list[int]] = []

    def note(oracle, draw) -> None:  # noqa: ANN001
        seen.append(oracle._aim.label.tolist())
        assert oracle._aim.source.tolist() == y.tolist()

    search(Targets(note), net, x, y, threat, early_stop=False)  # type: ignore[arg-type]
    with torch.no_grad():
        ranked = net.eval()(x).argsort(1, descending=True).tolist()
    wanted = [[k for k in r if k != t] for r, t in zip(ranked, y.tolist(), strict=True)]
    assert [list(t) for t in zip(*seen, strict=True)] == wanted


def test_targets_takes_the_best_n() -> None:
    count = 0

    def note(oracle, draw) -> None:  # noqa: ANN001
        nonlocal count
        count += 1

    run(Targets(note, n=2), LINF, early_stop=False)  # type: ignore[arg-type]
    assert count == 2


def test_apgd_halves_its_step_where_it_stalls() -> None:
    """A narrow ridge: with a step that never shrinks the ascent bounces from side to side."""
    from saddlepoint import APGD

    def ridge(x):  # noqa: ANN001, ANN202
        v = x.flatten(1)
        miss = (v - 0.43713).abs() @ torch.arange(1.0, 13.0, dtype=v.dtype)
        return torch.stack([torch.zeros_like(miss), -miss], 1)

    x = torch.full((2, *SHAPE), 0.5, dtype=torch.float64)
    y = torch.zeros(2, dtype=torch.int64)
    found = search(APGD(), ridge, x, y, LINF.make(2), loss="margin", early_stop=False)
    assert float(found.margin.min()) > -0.02


def test_ties_are_not_breaks() -> None:
    def tie(x):  # noqa: ANN001, ANN202
        return torch.zeros(len(x), 3) + 0 * x.sum()

    x = torch.rand(3, *SHAPE)
    found = search(PGD(steps=2), tie, x, torch.tensor([0, 1, 2]), LINF.make(3))
    assert found.status == (Status.SURVIVED,) * 3
    assert found.margin.tolist() == [0.0] * 3


def test_models_that_are_wrong_everywhere_cost_one_pass() -> None:
    net, x, _, threat = problem(LINF)
    with torch.no_grad():
        wrong = net.eval()(x).argmin(1)
    found = search(PGD(), net, x, wrong, threat)
    assert found.robust_accuracy == 0.0
    assert torch.equal(found.x_adv, x)
    assert found.cost.forward.tolist() == [1] * len(x)
    assert found.cost.rows_forward == len(x)


def test_the_default_classes_of_the_helper_are_balanced() -> None:
    """The suite is only as good as its problem: some rows break, some hold, one is wrong."""
    found = run(PGD(), LINF)
    assert 1 < int(found.broken.sum()) < len(found.status)
    assert mlp(4)[0] is not None
