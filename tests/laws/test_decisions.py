"""Attacks by labels: what they ask, what they pay, where they begin, and what they leave."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from saddlepoint import (
    L2,
    Boundary,
    Budget,
    Each,
    GeoDA,
    HopSkipJump,
    Linf,
    RayS,
    RotateTranslate,
    Sequence,
    Status,
    Targeted,
    nearest,
    search,
)
from saddlepoint.core.errors import Invalid, Unsupported
from tests.laws.models import NoBackward, Spy, mlp, problem
from tests.table import THREATS

LINF, NORM2 = THREATS[:2]
ATTACKS = (
    RayS(n_queries=70),
    HopSkipJump(n_queries=70, probes=5),
    GeoDA(n_queries=70, rounds=3),
    Boundary(n_queries=70),
)
ATTACK = pytest.mark.parametrize("attack", ATTACKS, ids=lambda a: type(a).__name__)
WALKS = pytest.mark.parametrize("attack", ATTACKS[1:], ids=lambda a: type(a).__name__)


class OneHot(nn.Module):
    """The same model, of which nothing but the class is to be seen."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        out = self.inner(x)
        return nn.functional.one_hot(out.argmax(1), out.shape[1]).to(out.dtype)


@ATTACK
def test_the_class_is_all_they_see(attack: Any) -> None:  # noqa: ANN401
    """The same questions, breaks and bills whether scores come back or classes."""
    net, x, y, threat = problem(NORM2)
    rich, poor = NoBackward(net), OneHot(net)
    a = search(attack, rich, x, y, threat, access="labels")
    b = search(attack, poor, x, y, threat, access="labels")
    assert rich.graphs == 0
    assert a.status == b.status
    assert torch.equal(a.cost.forward, b.cost.forward)
    assert torch.equal(a.u[a.broken], b.u[b.broken])


def test_the_class_is_all_that_a_part_in_turn_goes_on_from() -> None:
    """Which of two unbroken points is the worst would take scores to say."""
    net, x, y, _ = problem(NORM2, n=24)
    threat = RotateTranslate(4, 0.3) >> Linf(0.05)
    attack = Each((RayS(n_queries=20), RayS(n_queries=40)))
    a, b = (search(attack, m, x, y, threat, access="labels") for m in (net, OneHot(net)))
    assert a.error is None
    assert Status.SURVIVED in a.status
    assert a.status == b.status
    assert torch.equal(a.cost.forward, b.cost.forward)


@ATTACK
def test_nobody_rides_along(attack: Any) -> None:  # noqa: ANN401
    """A row that is closed, or has no question now, is not sent to a model that charges for it."""
    net, x, y, threat = problem(NORM2)
    spy = Spy(OneHot(net.eval()))
    found = search(attack, spy, x, y, threat, access="labels")
    assert found.error is None
    assert Status.BROKEN in found.status
    assert sum(spy.sizes) == int(found.cost.forward.sum())


@ATTACK
@pytest.mark.parametrize("budget", [None, Budget(forward=31)], ids=str)
def test_no_question_more_than_agreed(attack: Any, budget: Budget | None) -> None:  # noqa: ANN401
    net, x, y, _ = problem(NORM2)
    y = mlp(dtype=x.dtype).eval()(x).argmax(1)
    found = nearest(attack, net, x, y, L2(eps=3.4), budget=budget, access="labels")
    most = 1 + attack.n_queries if budget is None else 31
    assert found.error is None
    assert int(found.cost.forward.max()) == most
    if not isinstance(attack, RayS):  # which ends where it would repeat itself
        assert found.cost.forward.tolist() == [most] * 8


def test_signs_are_not_asked_about_twice() -> None:
    """Once a pass of flips has changed nothing, another would not either."""
    net, x, y, _ = problem(LINF)
    spy = Spy(OneHot(net.eval()))
    found = nearest(RayS(n_queries=5000), spy, x, y, Linf(eps=1.0), access="labels")
    assert int(found.cost.forward.max()) < 700
    assert bool(found.size.isfinite().all())


def corner(x: Tensor) -> Tensor:
    """Class 1 in a small ball around a point that chance does not hit, class 2 nowhere."""
    near = 0.2 - (x - torch.linspace(0, 1, 12)).flatten(1).norm(dim=1)
    return torch.stack([torch.zeros_like(near), near, torch.full_like(near, -1.0)], 1)


@WALKS
def test_a_target_is_reached_from_a_start(attack: Any) -> None:  # noqa: ANN401
    x = torch.full((2, 12), 0.5)
    goal = Targeted(torch.ones(2, dtype=torch.int64))
    lost = nearest(attack, corner, x, goal, L2(eps=3.0), access="labels")
    assert lost.status == (Status.SURVIVED,) * 2
    assert lost.cost.forward.tolist() == [71] * 2  # it has tried, and says so
    pool = torch.stack([torch.ones(12), torch.linspace(0, 1, 12)])
    led = replace(attack, starts=pool)
    found = nearest(led, corner, x, goal, L2(eps=3.0), access="labels")
    assert found.status == (Status.BROKEN,) * 2
    exact = (torch.linspace(0, 1, 12) - 0.5).norm() - 0.2
    assert bool((found.size >= exact - 1e-5).all())
    assert bool((found.size <= exact + 0.1).all())


@WALKS
def test_starts_that_cannot_be_used_are_refused(attack: Any) -> None:  # noqa: ANN401
    kind = type(attack)
    for bad in (torch.zeros(0, 3), torch.tensor(1.0), [0.5]):
        with pytest.raises(Invalid, match="starts"):
            kind(starts=bad)
    if kind is GeoDA:
        return
    x, y = torch.rand(2, 1, 4, 4), torch.zeros(2, dtype=torch.int64)

    def model(v: Tensor) -> Tensor:
        return torch.stack([v.flatten(1).sum(1) + 1, 0 * v.flatten(1).sum(1)], 1)

    with pytest.raises(Unsupported, match="an input is no start"):
        search(kind(starts=x), model, x, y, RotateTranslate(30, 1), access="labels")


def test_the_next_attack_goes_on_where_the_last_one_came() -> None:
    net, x, y, _ = problem(NORM2)
    threat, seen = L2(eps=0.05), []

    def note(oracle: Any, draw: Any) -> None:  # noqa: ANN401
        seen.append((oracle.closest(), oracle.x, oracle.threat))
        oracle.solved(oracle.threat.start(oracle.x))

    both = Sequence((note, RayS(n_queries=40), note))  # type: ignore[arg-type]
    found = search(both, net, x, y, threat, access="labels")
    assert found.error is None
    (_, before), ((u, size), rows, _) = seen[0][0], seen[1]
    assert bool(before.isinf().all())
    assert bool((size > 0.05).all())
    torch.testing.assert_close(size, u.flatten(1).norm(dim=1))
    broken = OneHot(net.eval())(rows + u).argmax(1)
    left = torch.tensor([s is not Status.BROKEN for s in found.status])
    assert bool((broken != y[left])[size.isfinite()].all())
    scored = search(both, net, x, y, threat)  # where scores are seen, the worst point says it
    assert scored.error is None
    assert bool(seen[3][0][1].isinf().all())
