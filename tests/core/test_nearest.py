"""Two ways to use the oracle that a minimum-norm attack needs: leaving the set, and coming back."""

from typing import Any

import pytest
import torch
from torch import Tensor

from saddlepoint import APGD, L1, L2, PGD, Budget, Linf, Quantize, Status, search
from saddlepoint.core.errors import Invalid, Unsupported
from saddlepoint.core.nearest import nearest
from saddlepoint.core.threat import graded, radii
from tests.laws.models import BF16Differs, problem
from tests.table import THREATS

X, Y = torch.full((3, 4), 0.5), torch.zeros(3, dtype=torch.int64)
LINF = THREATS[0]


def model(x: Tensor) -> Tensor:
    """Broken where the values add up to more than 2.2: 0.05 on each of four will do."""
    s = x.flatten(1).sum(1)
    return torch.stack([torch.full_like(s, 2.2), s], 1)


class Asks:
    """Asks about all values moved by so much, one after another."""

    def __init__(self, *moves: Any, roams: bool = False) -> None:  # noqa: ANN401
        self.moves, self.roams = moves, roams
        self.reached: list[list[float]] = []

    def __call__(self, oracle: Any, draw: Any) -> None:  # noqa: ANN401
        oracle = oracle.roam() if self.roams else oracle
        for move in self.moves:
            oracle.value(torch.zeros_like(oracle.x) + torch.as_tensor(move).reshape(-1, 1))
            self.reached.append(oracle.reached().tolist())


def test_points_outside_the_set_are_answered_but_never_kept() -> None:
    found = search(Asks(0.3, 0.02, 0.2, roams=True), model, X, Y, Linf(eps=0.1), early_stop=False)
    assert found.status == (Status.SURVIVED,) * 3
    torch.testing.assert_close(found.u, torch.full((3, 4), 0.02))
    assert found.cost.forward.tolist() == [4] * 3


def test_members_count_as_ever_while_roaming() -> None:
    move = torch.tensor([0.3, 0.08, 0.1 + 5e-8])
    found = search(Asks(move, roams=True), model, X, Y, Linf(eps=0.1))
    assert found.status == (Status.SURVIVED, Status.BROKEN, Status.BROKEN)
    assert bool(Linf(eps=0.1).contains(X, found.u, 1e-6).all())


def test_what_is_not_a_number_is_no_member() -> None:
    found = search(Asks(float("nan"), 0.01, roams=True), model, X, Y, Linf(eps=0.1))
    assert found.status == (Status.ERROR,) * 3
    assert bool(found.u.isfinite().all())


def test_the_closest_break_is_kept_whatever_comes_after() -> None:
    attack = Asks(0.09, 0.02, 0.06, 0.08, [0.055, 0.07, 0.04])
    found = nearest(attack, model, X, Y, Linf(eps=0.1))
    torch.testing.assert_close(found.size, torch.tensor([0.055, 0.06, 0.06]).double())
    torch.testing.assert_close(found.u[0], torch.full((4,), 0.055))
    assert found.status == (Status.BROKEN,) * 3
    assert found.cost.forward.tolist() == [6] * 3
    assert attack.reached[1] == pytest.approx([0.09] * 3)
    assert found.robust_accuracy(0.059) == pytest.approx(2 / 3)


def test_without_a_break_the_size_is_infinite_and_the_best_attempt_is_kept() -> None:
    attack = Asks(0.01, 0.03, 0.02)
    found = nearest(attack, model, X, Y, Linf(eps=0.1))
    assert found.size.tolist() == [float("inf")] * 3
    assert found.status == (Status.SURVIVED,) * 3
    torch.testing.assert_close(found.u, torch.full((3, 4), 0.03))
    assert attack.reached[2] == [float("inf")] * 3
    assert repr(found) == "Nearest(survived=3, median_size<=inf)"


def test_a_sample_that_is_wrong_from_the_start_costs_one_pass() -> None:
    found = nearest(Asks(0.09, 0.06), model, X, torch.tensor([0, 1, 0]), Linf(eps=0.1))
    assert found.size[1] == 0
    assert torch.equal(found.x_adv[1], X[1])
    assert found.cost.forward.tolist() == [3, 1, 3]


def test_outside_the_set_is_no_break_however_close_it_is_asked() -> None:
    found = nearest(Asks(0.06, 0.3, 0.08, roams=True), model, X, Y, Linf(eps=0.07))
    torch.testing.assert_close(found.size, torch.full((3,), 0.06).double())


def test_budgets_hold_without_early_stopping() -> None:
    net, x, y, threat = problem(LINF)
    found = nearest(APGD(), net, x, y, threat, budget=Budget(forward=7))
    assert int(found.cost.forward.max()) == 7


@pytest.mark.parametrize("row", THREATS[:3], ids=lambda r: r.name)
def test_ordinary_attacks_find_some_break_where_search_does(row: Any) -> None:  # noqa: ANN401
    net, x, y, threat = problem(row)
    found = nearest(PGD(steps=6), net, x, y, threat)
    usual = search(PGD(steps=6), net, x, y, threat)
    assert found.status == usual.status
    assert bool(threat.contains(x, found.u, 1e-6).all())
    assert torch.equal(found.size.isfinite(), usual.broken)
    right = usual.broken & (usual.clean_margin < 0)
    sizes = threat.size(x, found.u).double()
    torch.testing.assert_close(found.size[right], sizes[right])
    assert bool((found.size[right] <= threat.size(x, usual.u)[right] + 1e-12).all())


def test_breaks_in_low_precision_alone_do_not_count() -> None:
    def low(v: Tensor) -> Tensor:
        return model(v + 0.2)

    net = BF16Differs(model, low)
    found = nearest(Asks(0.09, 0.01, 0.06), net, X, Y, Linf(eps=0.1), precision="bfloat16")
    torch.testing.assert_close(found.size, torch.full((3,), 0.06).double())
    none = nearest(Asks(0.01), net, X, Y, Linf(eps=0.1), precision="bfloat16")
    assert none.status == (Status.SURVIVED,) * 3


def test_an_attack_that_raises_keeps_its_breaks() -> None:
    def attack(oracle: Any, draw: Any) -> None:  # noqa: ANN401
        oracle.value(torch.full_like(oracle.x, 0.08) * torch.tensor([[1.0], [0.0], [1.0]]))
        raise KeyError("a bug")

    found = nearest(attack, model, X, Y, Linf(eps=0.1))
    assert found.status == (Status.BROKEN, Status.ERROR, Status.BROKEN)
    assert found.error is not None
    assert found.size[1] == float("inf")


def test_a_narrowed_view_rests_where_its_size_was_reached() -> None:
    sizes: list[int] = []

    def counted(x: Tensor) -> Tensor:
        sizes.append(len(x))
        return model(x)

    def attack(oracle: Any, draw: Any) -> None:  # noqa: ANN401
        view = oracle.narrow(torch.tensor([0.08, 0.08, 0.5]))
        assert view.threat.eps.tolist() == pytest.approx([0.08, 0.08, 0.1])
        view.value(torch.full_like(view.x, 0.07) * torch.tensor([[1.0], [0.0], [0.0]]))
        view, u = view.shrink(torch.zeros_like(view.x), at=1.0)
        assert len(u) == 2
        view.value(u + 0.06)
        oracle.value(torch.full_like(oracle.x, 0.09))

    found = nearest(attack, counted, X, Y, Linf(eps=0.1))
    torch.testing.assert_close(found.size, torch.tensor([0.07, 0.06, 0.06]).double())
    assert found.cost.forward.tolist() == [3, 4, 4]
    assert sizes == [3, 3, 2, 3]


def test_sets_without_sizes_are_refused_before_any_work() -> None:
    class Single:
        def __init__(self) -> None:
            self.inner = Linf(eps=0.1)

        def __getattr__(self, name: str) -> Any:  # noqa: ANN401
            if name in ("at", "size", "eps") or name.startswith("__"):
                raise AttributeError(name)
            return getattr(self.inner, name)

    with pytest.raises(Unsupported, match="no size"):
        nearest(PGD(), model, X, Y, Single())  # type: ignore[arg-type]


def test_bad_arguments_are_refused_as_in_search() -> None:
    with pytest.raises(Invalid, match="x = "):
        nearest(PGD(), model, X * 10, Y, Linf(eps=0.1))


@pytest.mark.parametrize("ball", [Linf(eps=0.1), L2(eps=0.5), L1(eps=1.0)], ids=repr)
def test_radii_have_a_row_each(ball: Any) -> None:  # noqa: ANN401
    assert radii(ball, X).tolist() == pytest.approx([ball.eps] * 3)
    each = ball.at(torch.tensor([0.01, 0.02, 0.03], dtype=torch.float64))
    assert radii(each, X).dtype == X.dtype
    assert radii(each, X).tolist() == pytest.approx([0.01, 0.02, 0.03])
    assert graded(Quantize(ball)).eps == ball.eps


def test_a_size_beyond_the_range_is_the_range() -> None:
    assert Linf(eps=0.1).at(1e9).eps == 1.0
    assert Linf(eps=0.1).at(torch.tensor([0.2, 7.0])).eps.tolist() == pytest.approx([0.2, 1.0])
    corner = L2(eps=0.1).at(1e9).project(X, torch.full_like(X, 9.0))
    assert torch.equal(X + corner, torch.ones_like(X))
