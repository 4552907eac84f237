"""The oracle of training: which point it keeps, and what it must not leave behind."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from saddlepoint import APGD, FGSM, PGD, Linf, Margin, RandomSearch, Sequence, WorstOf
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Unsupported
from saddlepoint.core.goal import Untargeted
from saddlepoint.train import Inner
from saddlepoint.train.lean import Lean, evaluating
from tests.table import ATTACKS, AttackRow

LINF = Linf(eps=0.2)


def problem(n: int = 6) -> tuple[nn.Module, Tensor, Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        net = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
        net(torch.randn(64, 5))  # running statistics worth keeping
        return net, torch.rand(n, 5), torch.arange(n) % 3


def cross_entropy(net: nn.Module, x: Tensor, y: Tensor) -> Any:  # noqa: ANN401
    with torch.no_grad():
        z = net(x).double().numpy()
    return np.log(np.exp(z).sum(1)) - z[np.arange(len(y)), y.numpy()]


def points(x: Tensor, count: int = 5) -> list[Tensor]:
    draw = Draw.of(3, torch.arange(len(x)))
    return [LINF.sample(x, draw.tag("p", i)) for i in range(count)]


@pytest.mark.parametrize("gradients", [True, False])
def test_worst_keeps_the_argmax_of_every_row(gradients: bool) -> None:
    net, x, y = problem()
    us = points(x)

    def attack(oracle: Lean[Linf], draw: Draw) -> None:
        for u in us:
            oracle.value_and_grad(u) if gradients else oracle.value(u)

    x_adv = Inner(LINF, attack)(net, x, y)
    net.eval()
    losses = np.stack([cross_entropy(net, x + u, y) for u in us])
    best = losses.argmax(0)
    assert len(set(best.tolist())) > 1
    expected = torch.stack([x[i] + us[k][i] for i, k in enumerate(best)])
    assert x_adv.equal(expected)


def test_what_is_climbed_decides_what_is_worst() -> None:
    net, x, y = problem()
    us = points(x)

    def attack(oracle: Lean[Linf], draw: Draw) -> None:
        for u in us:
            oracle.value(u)

    x_adv = Inner(LINF, attack, loss=lambda out, goal: -out[:, 0])(net, x, y)
    net.eval()
    with torch.no_grad():
        best = torch.stack([net(x + u)[:, 0] for u in us]).argmin(0)
    assert x_adv.equal(torch.stack([x[i] + us[k][i] for i, k in enumerate(best)]))


@pytest.mark.parametrize("gradients", [True, False])
def test_points_of_views_with_other_losses_are_compared_by_one(gradients: bool) -> None:
    net, x, y = problem(12)
    us = points(x)

    def attack(oracle: Lean[Linf], draw: Draw) -> None:
        for k, u in enumerate(us):
            view = oracle.aim(loss=("margin", "dlr", None)[k % 3])
            view.value_and_grad(u) if gradients else view.value(u)

    x_adv = Inner(LINF, attack)(net, x, y)
    net.eval()
    best = np.stack([cross_entropy(net, x + u, y) for u in us]).argmax(0)
    assert x_adv.equal(torch.stack([x[i] + us[k][i] for i, k in enumerate(best)]))


def test_of_equal_points_the_later_is_kept_and_nan_never() -> None:
    net, x, y = problem(2)

    def loss(out: Tensor, goal: object) -> Tensor:
        return torch.full((2,), next(values))

    values = iter([1.0, 1.0, torch.nan, 0.5])
    us = points(x, 4)
    lean = Lean(net.eval(), x, Untargeted(y), LINF, loss=loss)
    for u in us:
        lean.value(u)
    assert lean.kept.equal(us[1])
    values = iter([torch.nan])
    lost = Lean(net, x, Untargeted(y), LINF, loss=loss)
    lost.value(us[0])
    assert lost.kept.equal(torch.zeros_like(x))


def test_views_share_what_is_kept() -> None:
    net, x, y = problem()
    lean = Lean(net.eval(), x, Untargeted(y), LINF)
    u = points(x)[0]
    lean.aim(loss="margin").value(u)
    assert lean.kept.equal(u)
    (same, *state) = lean.shrink(u, 3, at=1.0)
    assert same is lean
    assert state[0] is u
    assert state[1] == 3


def test_last_takes_the_final_point_unseen_and_ends_the_attack() -> None:
    net, x, y = problem()
    us, done = points(x, 3), []

    def attack(oracle: Lean[Linf], draw: Draw) -> None:
        oracle.value_and_grad(us[0])
        oracle.value_and_grad(us[1])
        done.append("gradients")
        oracle.value(us[2])
        done.append("value")

    assert Inner(LINF, attack, keep="last")(net, x, y).equal(x + us[2])
    assert done == ["gradients"]


def test_last_of_an_attack_that_only_asks_for_gradients() -> None:
    net, x, y = problem()
    us = points(x, 3)

    def attack(oracle: Lean[Linf], draw: Draw) -> None:
        for u in us:
            oracle.value_and_grad(u)

    assert Inner(LINF, attack, keep="last")(net, x, y).equal(x + us[2])


@pytest.mark.parametrize(("keep", "passes"), [("worst", 4), ("last", 3)])
def test_last_saves_the_pass_that_only_measures(keep: Any, passes: int) -> None:  # noqa: ANN401
    net, x, y = problem()
    count = []
    net.register_forward_hook(lambda *_: count.append(1))
    Inner(LINF, PGD(steps=3), keep=keep)(net, x, y)
    assert len(count) == passes


def test_last_follows_pgd_by_hand() -> None:
    net, x, y = problem()
    attack = PGD(steps=3, step_size=0.5, start="clean")
    x_adv = Inner(LINF, attack, keep="last")(net, x, y)
    net.eval()
    u = torch.zeros_like(x)
    for _ in range(3):
        u.requires_grad_()
        (g,) = torch.autograd.grad(nn.functional.cross_entropy(net(x + u), y), u)
        u = (u.detach() + 0.1 * g.sign()).clamp(-0.2, 0.2)
        u = (x + u).clamp(0, 1) - x
    torch.testing.assert_close(x_adv, x + u)


@pytest.mark.parametrize("attack", [WorstOf(k=7), RandomSearch(n_queries=9)], ids=repr)
def test_without_gradients_last_is_worst(attack: WorstOf | RandomSearch) -> None:
    """Else the first random point would end the search for it."""
    net, x, y = problem()
    worst, last = (Inner(LINF, attack, keep=k)(net, x, y) for k in ("worst", "last"))  # type: ignore[arg-type]
    assert worst.equal(last)


def test_worst_of_is_the_worst_of_its_members() -> None:
    net, x, y = problem()
    draw = Draw.of(5, torch.arange(6))
    x_adv = Inner(LINF, WorstOf(k=4))(net, x, y, draw=draw)
    net.eval()
    members = [x + LINF.sample(x, draw.tag("member", i)) for i in range(4)]
    best = np.stack([cross_entropy(net, m, y) for m in members]).argmax(0)
    assert x_adv.equal(torch.stack([members[k][i] for i, k in enumerate(best)]))


@pytest.mark.parametrize("row", ATTACKS, ids=lambda r: r.name)
@pytest.mark.parametrize("keep", ["worst", "last"])
def test_every_attack_trains_within_the_set_and_leaves_no_trace(
    row: AttackRow,
    keep: Any,  # noqa: ANN401
) -> None:
    net, x, y = problem()
    net[1].eval()
    net[3].weight.requires_grad_(False)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    x_adv = Inner(LINF, row.small, keep=keep)(net, x, y)
    assert bool(LINF.contains(x, x_adv - x, 1e-6).all())
    assert not x_adv.requires_grad
    assert all(v.equal(before[k]) for k, v in net.state_dict().items())
    assert [m.training for m in net] == [True, False, True, True]
    assert net.training
    assert all(p.grad is None for p in net.parameters())
    wants = [p.requires_grad for p in net.parameters()]
    assert wants == [True] * 4 + [False, True]


def test_every_gradient_attack_beats_the_clean_point() -> None:
    net, x, y = problem()
    for attack in (FGSM(), PGD(steps=4), APGD(steps=5), Sequence((WorstOf(k=2), PGD(steps=4)))):
        x_adv = Inner(LINF, attack)(net, x, y)
        with evaluating(net):
            assert bool((cross_entropy(net, x_adv, y) > cross_entropy(net, x, y)).all())


def test_modes_are_put_back_after_an_error() -> None:
    net, x, y = problem()
    net[1].eval()

    def broken(oracle: object, draw: Draw) -> None:
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        Inner(LINF, broken)(net, x, y)
    assert [m.training for m in net] == [True, False, True, True]


class Cut(nn.Module):
    """A layer that lets no gradient through to the input, but has weights that learn."""

    def __init__(self, cut: Callable[[Tensor], Tensor], learns: bool) -> None:
        super().__init__()
        self.cut, self.tail = cut, nn.Linear(5, 3).requires_grad_(learns)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.tail(self.cut(x))
        return out


@pytest.mark.parametrize("learns", [True, False])
def test_a_model_without_a_path_to_its_input_is_named(learns: bool) -> None:
    net, (_, x, y) = Cut(Tensor.detach, learns), problem()
    with pytest.raises(Unsupported, match=r"differentiable path.*WorstOf"):
        Inner(LINF, PGD(steps=2))(net, x, y)
    x_adv = Inner(LINF, WorstOf(k=3), loss=Margin())(net, x, y)
    assert not x_adv.equal(x)


def test_half_precision_scores_are_compared_in_float32() -> None:
    net, x, y = problem()
    lean = Lean(net.eval(), x, Untargeted(y), LINF)
    with torch.autocast("cpu", torch.bfloat16):
        value = lean.value(points(x)[0])
        climbed, g = lean.value_and_grad(points(x)[0])
        assert lean.clean.dtype == torch.float32
    assert value.dtype == climbed.dtype == g.dtype == torch.float32
    torch.testing.assert_close(value, climbed)


def test_solved_says_whether_the_label_is_left() -> None:
    net, x, y = problem()
    lean = Lean(net.eval(), x, Untargeted(y), LINF)
    u = points(x)[0]
    with torch.no_grad():
        assert lean.solved(u).equal(net(x + u).argmax(1) != y)
        torch.testing.assert_close(lean.clean, net(x))
