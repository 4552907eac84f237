"""Adversarial weight perturbation against a copy of the model that is perturbed by hand."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from saddlepoint import PGD, Linf
from saddlepoint.train import AWP, MART, TRADES, Inner, Madry, Natural, RobustLoss, train
from tests.train.kit import Digits, MakeNet, MakePlan


class Counting:
    """A search that counts how often it is asked, and of which model."""

    threat, memory, share = Linf(eps=0.1), {}, 1.0

    def __init__(self) -> None:
        self.asked: list[nn.Module] = []
        self.inner = Inner(self.threat, PGD(steps=2))

    def __call__(self, model: nn.Module, x: Tensor, y: Any, loss: Any = None, /) -> Tensor:  # noqa: ANN401
        self.asked.append(model)
        return self.inner(model, x, y, loss)


def problem() -> tuple[nn.Module, Tensor, Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(6)
        net = nn.Sequential(
            nn.Linear(5, 16), nn.BatchNorm1d(16), nn.Tanh(), nn.Linear(16, 8, bias=False),
            nn.Tanh(), nn.Linear(8, 3),
        )  # fmt: skip
        net[3].requires_grad_(False)
        return net, torch.rand(24, 5), torch.arange(24) % 3


def by_hand(
    loss: RobustLoss, gamma: float, net: nn.Module, x: Tensor, y: Tensor
) -> tuple[Tensor, nn.Module, Tensor]:
    """Return the value, the moved copy with its gradients, and the worst inputs."""
    x_adv: list[Tensor] = []

    def once(model: nn.Module, *args: Any) -> Tensor:  # noqa: ANN401
        if not x_adv:
            x_adv.append(Counting()(model, *args))
        return x_adv[0]

    moved = copy.deepcopy(net)
    loss(moved, x, y, once).backward()  # type: ignore[arg-type]
    with torch.no_grad():
        for w in moved.parameters():
            if w.requires_grad and w.dim() > 1:
                assert w.grad is not None
                w += gamma * w.norm() * w.grad / w.grad.norm()
    moved.zero_grad()
    value = loss(moved, x, y, once)  # type: ignore[arg-type]
    value.backward()
    return value, moved, x_adv[0]


@pytest.mark.parametrize("loss", [Madry(), TRADES(), MART()], ids=repr)
@pytest.mark.parametrize("gamma", [0.005, 0.2])
def test_value_and_gradient_are_those_of_the_moved_copy(loss: RobustLoss, gamma: float) -> None:
    net, x, y = problem()
    value, moved, _ = by_hand(loss, gamma, net, x, y)
    before = [p.detach().clone() for p in net.parameters()]
    got = AWP(loss, gamma)(net, x, y, worst := Counting())
    got.backward()
    torch.testing.assert_close(got, value)
    for p, q, w in zip(net.parameters(), moved.parameters(), before, strict=True):
        assert p.equal(w)
        assert p.is_leaf
        assert (p.grad is None) is (q.grad is None)
        if p.grad is not None:
            torch.testing.assert_close(p.grad, q.grad)
    assert worst.asked == [net]
    # Running statistics saw the same batches as those of the copy.
    for (name, a), b in zip(net.named_buffers(), moved.buffers(), strict=True):
        torch.testing.assert_close(a, b, msg=name)


def test_the_perturbation_raises_the_loss() -> None:
    net, x, y = problem()
    net.eval()
    flat = [AWP(gamma=g)(net, x, y, Counting()).item() for g in (0.01, 0.05, 0.1)]
    assert Madry()(net, x, y, Counting()).item() < flat[0] < flat[1] < flat[2]


def test_biases_and_frozen_weights_stay() -> None:
    """With nothing else to move it is the plain objective."""
    net, x, y = problem()
    for p in net.parameters():
        p.requires_grad_(p.dim() == 1)
    net.eval()
    plain = Madry()(net, x, y, Counting())
    assert AWP(gamma=0.5)(net, x, y, worst := Counting()).equal(plain)
    assert len(worst.asked) == 1


def test_natural_training_is_made_flat_without_asking() -> None:
    net, x, y = problem()
    value, _ = by_hand_natural(net, x, y)
    got = AWP(Natural(), 0.1)(net, x, y, worst := Counting())
    torch.testing.assert_close(got, value)
    assert worst.asked == []


def by_hand_natural(net: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, nn.Module]:
    moved = copy.deepcopy(net)
    nn.functional.cross_entropy(moved(x), y).backward()
    with torch.no_grad():
        for w in moved.parameters():
            if w.grad is not None and w.dim() > 1:
                w += 0.1 * w.norm() * w.grad / w.grad.norm()
    return nn.functional.cross_entropy(moved(x), y), moved


class Shared(nn.Module):
    """One module under two names, one weight under two names, and one that is never used."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(4, 4, bias=False)
        self.b = self.a
        self.c = nn.Linear(4, 4, bias=False)
        self.c.weight = self.a.weight
        self.idle = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.c(torch.tanh(self.b(torch.tanh(self.a(x)))))
        return out


def test_shared_weights_move_together_and_come_back() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        net, x, y = Shared(), torch.rand(6, 4), torch.arange(6) % 4
    before = net.a.weight.detach().clone()
    value, _ = by_hand_natural(net, x, y)
    got = AWP(Natural(), 0.1)(net, x, y, Counting())
    got.backward()
    torch.testing.assert_close(got, value)
    assert net.a is net.b
    assert net.a.weight is net.c.weight
    assert isinstance(net.a.weight, nn.Parameter)
    assert net.a.weight.equal(before)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_whole_run_leaves_parameters_that_are_parameters(
    plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path, precision: str
) -> None:
    x, y, *_ = digits
    model = net()
    p = plan(loss=AWP(TRADES(), gamma=0.01), epochs=2, precision=precision)
    trained = train(p, model, x, y, tmp_path, progress=False)
    assert all(isinstance(w, nn.Parameter) and w.is_leaf for w in trained.model.parameters())
    assert trained.history[1].loss < trained.history[0].loss


def test_a_run_takes_the_step_of_the_formula(
    plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path
) -> None:
    """One step of SGD at rate 1: the weights move by the gradient at the moved weights."""
    x, y, *_ = digits
    p = plan(
        loss=AWP(Natural(), gamma=0.1), epochs=1, batch_size=1197, optimizer="sgd", lr=1.0,
        momentum=0.0, schedule="constant",
    )  # fmt: skip
    from saddlepoint.train.samples import Samples

    (batch,) = Samples.of(p, x, y).batches(1)
    start = net()
    value, moved = by_hand_natural(start, batch.x, batch.y)
    moved.zero_grad()
    value.backward()
    trained = train(p, net(), x, y, tmp_path, progress=False)
    for w, at, v in zip(
        trained.model.parameters(), start.parameters(), moved.parameters(), strict=True
    ):
        assert v.grad is not None
        torch.testing.assert_close(w, at - v.grad)
