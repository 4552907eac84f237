"""Budgets are hard, broken rows are free, and an attack sees only what it is granted."""

import pytest
import torch
from torch import Tensor

from saddlepoint import (
    FGSM,
    PGD,
    Budget,
    RandomSearch,
    Restarts,
    Sequence,
    Status,
    Targets,
    search,
)
from saddlepoint.core.errors import Exhausted, Unsupported
from tests.laws.models import NoBackward, Spy, mlp, problem, run
from tests.table import ATTACKS, THREATS, AttackRow

ATTACK = pytest.mark.parametrize("attack", ATTACKS, ids=lambda r: r.name)
LINF, L2 = THREATS[:2]
BUDGETS = [
    Budget(forward=1),
    Budget(forward=2),
    Budget(backward=1),
    Budget(backward=3),
    Budget(forward=6, backward=2),
]


@ATTACK
@pytest.mark.parametrize("budget", BUDGETS, ids=str)
@pytest.mark.parametrize("early_stop", [True, False])
def test_budgets_are_never_exceeded(attack: AttackRow, budget: Budget, early_stop: bool) -> None:
    net, x, y, threat = problem(LINF)
    found = search(attack.small, net, x, y, threat, budget=budget, early_stop=early_stop)
    assert int(found.cost.forward.max()) <= (budget.forward or 10**9)
    assert int(found.cost.backward.max()) <= (budget.backward or 10**9)
    assert bool((found.cost.backward <= found.cost.forward).all())
    assert bool((found.margin >= found.clean_margin - 1e-12).all())
    assert found.error is None


@pytest.mark.parametrize("n", [1, 2, 5, 20])
def test_the_whole_forward_budget_is_spent(n: int) -> None:
    found = run(RandomSearch(), LINF, budget=Budget(forward=n), early_stop=False)
    assert found.cost.forward.tolist() == [n] * 8


@pytest.mark.parametrize("n", [1, 2, 5])
def test_the_whole_backward_budget_is_spent(n: int) -> None:
    found = run(PGD(), LINF, budget=Budget(backward=n), early_stop=False)
    assert found.cost.backward.tolist() == [n] * 8


def test_a_budget_of_one_still_judges_the_clean_input() -> None:
    free = run(PGD(steps=1), LINF, budget=Budget(forward=1))
    assert free.status[4] is Status.BROKEN
    torch.testing.assert_close(free.margin, free.clean_margin.double())


def test_a_budget_too_small_to_attack_is_not_robustness() -> None:
    """The clean pass spends all: nothing was tried, and "survived" would be a silent lie."""
    found = run(PGD(steps=1), LINF, budget=Budget(forward=1))
    assert Status.SURVIVED not in found.status


def test_a_spent_backward_budget_leaves_the_forward_passes() -> None:
    """One gradient is all that FGSM needs; it must be allowed to look where it leads."""
    found = run(FGSM(), LINF, budget=Budget(backward=1), early_stop=False)
    full = run(FGSM(), LINF, early_stop=False)
    torch.testing.assert_close(found.margin, full.margin)


def test_a_spent_backward_budget_lets_a_score_attack_go_on() -> None:
    both = Sequence((PGD(steps=3), RandomSearch(n_queries=10)))
    found = run(both, LINF, budget=Budget(backward=3), early_stop=False)
    assert found.cost.forward.tolist() == [1 + 4 + 10] * 8


PRICES = [
    (FGSM(), 1 + 1 + 1, 1),
    (PGD(steps=6), 1 + 6 + 1, 6),
    (RandomSearch(n_queries=9), 1 + 9, 0),
    (Restarts(PGD(steps=2), n=3), 1 + 3 * 3, 6),
    (Targets(FGSM(), n=9), 1 + 3 * 2, 3),
    (Sequence((FGSM(), FGSM())), 1 + 2 + 2, 2),
    (ATTACKS[5].small, 1 + 12 + 1, 12),
    (ATTACKS[7].small, 1 + 5 + 1, 5),
]


@pytest.mark.parametrize(("attack", "forward", "backward"), PRICES, ids=lambda a: repr(a)[:20])
def test_prices_are_what_the_papers_say(attack: object, forward: int, backward: int) -> None:
    net, x, y, threat = problem(LINF)
    spy = Spy(net)
    found = search(attack, spy, x, y, threat, early_stop=False)  # type: ignore[arg-type]
    assert found.cost.forward.tolist() == [forward] * 8
    assert found.cost.backward.tolist() == [backward] * 8
    assert found.cost.rows_forward == sum(spy.sizes)
    assert found.cost.rows_backward == backward * 8


def test_broken_rows_are_frozen() -> None:
    """After a break, worse points neither cost nor replace the one that broke."""
    y = torch.zeros(2, dtype=torch.int64)
    x = torch.full((2, 4), 0.5)

    def model(v: Tensor) -> Tensor:
        s = v.sum(1)
        return torch.stack([torch.full_like(s, 2.05), s], 1)

    def attack(oracle, draw) -> None:  # noqa: ANN001
        up = torch.full_like(oracle.x, 0.05)
        only_first = up * torch.tensor([[1.0], [0.0]])
        assert oracle.solved(only_first).tolist() == [True, False]
        oracle.solved(torch.cat([0.1 + 0 * up[:1], 0 * up[:1]]))
        oracle.value(-up)

    found = search(attack, model, x, y, LINF.make(2))
    assert found.status == (Status.BROKEN, Status.SURVIVED)
    assert found.cost.forward.tolist() == [2, 4]
    torch.testing.assert_close(found.u[0], torch.full((4,), 0.05))
    torch.testing.assert_close(found.margin[0].item(), 0.15, rtol=0, atol=1e-5)


def test_without_early_stopping_the_worst_point_is_kept_after_a_break() -> None:
    y, x = torch.zeros(1, dtype=torch.int64), torch.full((1, 4), 0.5)

    def model(v: Tensor) -> Tensor:
        return torch.stack([torch.full_like(v[:, 0], 2.05), v.sum(1)], 1)

    def attack(oracle, draw) -> None:  # noqa: ANN001
        for size in (0.05, 0.09, 0.02, -0.1):
            oracle.value(torch.full_like(oracle.x, size))

    found = search(attack, model, x, y, LINF.make(1), early_stop=False)
    torch.testing.assert_close(found.u, torch.full((1, 4), 0.09))
    assert found.cost.forward.tolist() == [5]


def test_sequences_cost_nothing_on_broken_rows() -> None:
    first = run(FGSM(), LINF)
    both = run(Sequence((FGSM(), PGD(steps=5))), LINF)
    done = first.broken
    assert bool(done.any())
    assert torch.equal(both.cost.forward[done], first.cost.forward[done])
    assert bool((both.cost.forward[~done] > first.cost.forward[~done]).all())


def test_broken_rows_are_dropped_from_the_batch() -> None:
    net, x, y, threat = problem(LINF)
    spy = Spy(net)
    found = search(Sequence((FGSM(), FGSM(), PGD(steps=5))), spy, x, y, threat)
    assert spy.sizes[-1] <= int((~found.broken).sum()) + 1


@pytest.mark.parametrize("attack", [a for a in ATTACKS if a.scores], ids=lambda r: r.name)
def test_score_attacks_never_touch_gradients(attack: AttackRow) -> None:
    net = NoBackward(mlp())
    _, x, y, threat = problem(LINF)
    found = search(attack.small, net, x, y, threat, access="scores", early_stop=False)
    assert found.error is None
    assert net.graphs == 0
    assert found.cost.backward.tolist() == [0] * 8
    assert bool((found.margin > found.clean_margin).any())


@pytest.mark.parametrize("attack", [a for a in ATTACKS if not a.scores], ids=lambda r: r.name)
def test_gradient_attacks_are_refused_without_access(attack: AttackRow) -> None:
    net, x, y, threat = problem(LINF)
    spy = Spy(net)
    with pytest.raises(Unsupported, match="gradients"):
        search(attack.small, spy, x, y, threat, access="scores")
    assert spy.sizes == []


@pytest.mark.parametrize("verb", ["value", "value_and_grad"])
def test_an_attack_cannot_ask_for_more_than_it_is_granted(verb: str) -> None:
    def cheat(oracle, draw) -> None:  # noqa: ANN001
        getattr(oracle, verb)(oracle.threat.start(oracle.x))

    access = "labels" if verb == "value" else "scores"
    with pytest.raises(Unsupported, match="granted"):
        run(cheat, LINF, access=access)


def test_exhaustion_never_leaves_search() -> None:
    def greedy(oracle, draw) -> None:  # noqa: ANN001
        while True:
            oracle.value(oracle.threat.start(oracle.x))

    found = run(greedy, L2, budget=Budget(forward=30))
    assert int(found.cost.forward.max()) == 30
    assert issubclass(Exhausted, Exception)
