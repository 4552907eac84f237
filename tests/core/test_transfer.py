"""Attacks that learn from other models: exact where the other is the model itself, blind else."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from saddlepoint import (
    PGD,
    Earlier,
    Guess,
    Linf,
    PriorGuided,
    Restarts,
    Sequence,
    Smooth,
    Square,
    Surrogate,
    Transfer,
    search,
)
from saddlepoint.attacks.earlier import Points
from saddlepoint.core.access import check_fit
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid, Unsupported
from saddlepoint.views import Noise, Render, Scale, Shift
from tests.laws.models import Spy, mlp, problem
from tests.table import OTHER, THREATS

LINF = THREATS[0]
CLIMB = PGD(steps=8, loss="margin")


def constant(x: Tensor) -> Tensor:
    return torch.zeros(len(x), 4, dtype=x.dtype) + 0 * x.flatten(1).sum(1, keepdim=True)


NOTHING = Surrogate(constant, "constant", "0" * 64)


def test_the_model_as_its_own_surrogate_is_as_good_as_white_box() -> None:
    net, x, y, threat = problem(LINF)
    white = search(PGD(steps=8, loss="margin", start="clean"), net, x, y, threat, early_stop=False)
    attack = Transfer(PGD(steps=8, loss="margin", start="clean"), (Surrogate(net),))
    blind = search(attack, net, x, y, threat, early_stop=False, access="none")
    open_rows = white.clean_margin <= 0
    torch.testing.assert_close(blind.margin[open_rows], white.margin[open_rows])
    assert blind.cost.forward[open_rows].tolist() == [2] * int(open_rows.sum())
    assert blind.cost.backward.tolist() == [0] * len(x)
    assert net.training  # as it was found


def test_points_go_beyond_the_surrogates_boundary() -> None:
    """An early stop would hand in points that only just cross."""
    net, x, y, threat = problem(LINF)
    twin = lambda v: net(v) / 2  # noqa: E731 - the same boundary
    found = search(Transfer(CLIMB, (Surrogate(twin, "t", "1" * 64),)), net, x, y, threat)
    stopped = search(CLIMB, net, x, y, threat)
    both = found.broken & stopped.broken & (found.clean_margin < 0)
    assert bool(both.any())
    assert float(found.margin[both].mean()) > float(stopped.margin[both].mean())


def test_a_constant_surrogate_breaks_nothing_and_ends() -> None:
    net, x, y, threat = problem(LINF)
    found = search(Transfer(PGD(steps=4, start="clean"), (NOTHING,)), net, x, y, threat)
    assert torch.equal(found.broken, found.clean_margin > 0)
    assert found.error is None
    found = search(PriorGuided(6, (NOTHING,)), net, x, y, threat)
    assert found.error is None


@dataclass
class Told:
    """An oracle of which only what an adversary without answers may have can be had."""

    oracle: Any
    seen: list[Tensor]

    x = property(lambda self: self.oracle.x)
    threat = property(lambda self: self.oracle.threat)
    goal = property(lambda self: self.oracle.goal)

    def propose(self, u: Tensor) -> None:
        self.seen.append(u)

    def shrink(self, *state: object, at: float = 0.5) -> tuple[object, ...]:
        return (self, *state)


BLIND = (
    Transfer(CLIMB, (OTHER,)),
    Restarts(Transfer(CLIMB, (OTHER, OTHER), fuse="probabilities"), n=2),
    Sequence((Guess(k=2), Transfer(CLIMB, (OTHER,), views=Scale((0.8, 1.0)) >> Shift(0.1)))),
)


@pytest.mark.parametrize("attack", BLIND, ids=lambda a: type(a).__name__)
def test_nothing_is_learnt_without_access(attack: Transfer | Restarts | Sequence) -> None:
    """What is handed in is the same when the model under attack is another one."""
    net, x, y, threat = problem(LINF)
    seen: list[list[Tensor]] = []

    def spying(oracle: Any, draw: Draw) -> None:  # noqa: ANN401
        told = Told(oracle, [])
        attack(told, draw)
        seen.append(told.seen)

    for model in (net, lambda v: constant(v) + torch.eye(4).to(v)[y[1]]):  # nothing breaks that
        search(spying, model, x[1:2], y[1:2], threat, access="none")
    assert len(seen[0]) == len(seen[1]) > 0
    assert all(torch.equal(a, b) for a, b in zip(*seen, strict=True))


def test_access_none_takes_them_and_nothing_that_asks() -> None:
    check_fit(Transfer(CLIMB, (OTHER,)), LINF.make(2), "none")
    with pytest.raises(Unsupported, match="grants no question"):
        check_fit(PriorGuided(9, (OTHER,)), LINF.make(2), "none")
    for bare in (PriorGuided(9), Transfer(CLIMB)):
        with pytest.raises(Unsupported, match="--surrogate"):
            check_fit(bare, LINF.make(2), "scores")


def test_surrogates_are_asked_in_eval_mode_and_left_as_found() -> None:
    net, x, y, threat = problem(LINF)
    other, *_ = problem(LINF)
    other[0].requires_grad_(True)
    spy = Spy(other).train()
    search(Transfer(PGD(steps=2), (Surrogate(spy, "spy"),)), net, x, y, threat)
    assert spy.training
    assert all(p.requires_grad and p.grad is None for p in spy.parameters())


def test_several_surrogates_are_one_by_their_mean() -> None:
    net, x, y, threat = problem(LINF)
    part = Surrogate(lambda v: 3 * net(v) - 2 * OTHER.model(v)[:, :4], "a", "1" * 64)
    rest = Surrogate(lambda v: -net(v) + 2 * OTHER.model(v)[:, :4], "b", "2" * 64)
    one = search(Transfer(CLIMB, (Surrogate(net),)), net, x, y, threat)
    both = search(Transfer(CLIMB, (part, rest)), net, x, y, threat)
    torch.testing.assert_close(one.u, both.u)


def test_views_change_the_way_and_not_the_judge() -> None:
    net, x, y, threat = problem(LINF)
    own = Surrogate(net)
    plain = search(Transfer(CLIMB, (own,)), net, x, y, threat)
    seen = search(Transfer(CLIMB, (own,), views=Noise(0.2), draws=3), net, x, y, threat)
    assert not torch.equal(plain.u, seen.u)
    again = search(Transfer(CLIMB, (own,), views=Noise(0.2), draws=3), net, x, y, threat)
    assert torch.equal(seen.u, again.u)
    rows = torch.tensor([5])
    alone = search(
        Transfer(CLIMB, (own,), views=Noise(0.2), draws=3),
        *(net, x[rows], y[rows], threat[rows]),
        ids=rows,
    )
    torch.testing.assert_close(alone.u, seen.u[rows])


def test_the_prior_saves_questions_where_it_is_right() -> None:
    net, x, y, _ = problem(LINF, n=24)
    threat = Linf(0.3)
    guided = search(PriorGuided(60, (Surrogate(net),)), net, x, y, threat)
    alone = search(Square(60), net, x, y, threat)
    assert int(guided.broken.sum()) >= int(alone.broken.sum())
    assert int(guided.cost.forward.sum()) < int(alone.cost.forward.sum())


@pytest.mark.parametrize("n_queries", [1, 2, 3, 9])
def test_all_questions_are_asked_and_no_more(n_queries: int) -> None:
    """Suggestions are among them, two of which are more than one question allows."""
    net, x, y, _ = problem(LINF)
    y = mlp(dtype=x.dtype).eval()(x).argmax(1)
    found = search(PriorGuided(n_queries, (OTHER,)), net, x, y, Linf(0.001))
    assert found.error is None
    assert found.cost.forward.tolist() == [1 + n_queries] * len(x)


def test_a_start_that_knows_few_leaves_the_others_all_their_questions() -> None:
    net, x, y, _ = problem(LINF)
    y = mlp(dtype=x.dtype).eval()(x).argmax(1)
    early = Earlier(Points(torch.tensor([0, 2]), x[[0, 2]], "c0ffee"))
    guided = PriorGuided(7, (OTHER,), (early, Transfer(CLIMB)))
    found = search(guided, net, x, y, Linf(0.001), ids=torch.arange(8))
    assert found.cost.forward.tolist() == [8] * 8
    part = search(guided, net, x[:3], y[:3], Linf(0.001), ids=torch.arange(3))
    torch.testing.assert_close(part.u, found.u[:3])


def test_smoothing_is_a_convolution_with_a_gaussian() -> None:
    g = torch.randn(2, 3, 9, 8, dtype=torch.float64)
    k = torch.exp(-0.5 * (torch.arange(-3.0, 4.0, dtype=torch.float64) / 0.9) ** 2)
    k = k / k.sum()
    kernel = torch.outer(k, k).expand(3, 1, 7, 7)
    wanted = nn.functional.conv2d(g, kernel, padding=3, groups=3)
    torch.testing.assert_close(Smooth(0.9)(g, None)[0], wanted)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Transfer(CLIMB, ("net",)), "a model"),
        (lambda: Transfer(CLIMB, OTHER), "a tuple of surrogates"),
        (lambda: Transfer(3, (OTHER,)), "an attack"),
        (lambda: Transfer(CLIMB, (OTHER,), views=3), "a distribution"),
        (lambda: Transfer(CLIMB, (OTHER,), views=Noise(0.1), draws=0), "draws = 0"),
        (lambda: Surrogate(lambda x: x, "f"), "tells surrogates apart"),
        (lambda: PriorGuided(0, (OTHER,)), "n_queries = 0"),
        (lambda: PriorGuided(5, (OTHER,), starts=(CLIMB,)), "Transfer"),
        (lambda: Smooth(0.0), "sigma = 0.0"),
        (lambda: Smooth(1.0, then=3), "then = 3"),
    ],
)
def test_refused_at_once(make: Callable[[], object], message: str) -> None:
    with pytest.raises(Invalid, match=message):
        make()


@pytest.mark.parametrize(
    ("attack", "message"),
    [
        (Transfer(CLIMB, (Surrogate(nn.Linear(5, 4).double(), "five"),)), "surrogate five"),
        (Transfer(CLIMB, (Surrogate(nn.Flatten(0), "flat"),)), r"scores of shape"),
        (Transfer(CLIMB, (OTHER, NOTHING)), r"linear 5, constant 4 classes"),
        (Transfer(CLIMB, (OTHER,), fuse="sum"), "fuse = 'sum'"),
        (Transfer(CLIMB, (OTHER,), views=Render("cube", size=9)), "the input's own size"),
    ],
)
def test_surrogates_that_do_not_fit_are_an_error(attack: Transfer, message: str) -> None:
    net, x, y, threat = problem(LINF)
    found = search(attack, net, x, y, threat)
    assert found.error is not None
    assert message.replace("\\", "") in found.error


def test_a_plan_tells_surrogates_apart() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        a, b = nn.Linear(2, 2), nn.Linear(2, 2)
    first, second = (repr(Transfer(CLIMB, (Surrogate(n, "net"),))) for n in (a, b))
    assert first != second
    assert first == repr(Transfer(CLIMB, (Surrogate(a, "net"),)))
