"""Free training: the perturbation is carried from replay to replay and batch to batch."""

import gc
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from saddlepoint import L2, PGD, Linf
from saddlepoint.core.draw import Draw
from saddlepoint.core.threat import ThreatModel
from saddlepoint.train import Free, Inner, train
from saddlepoint.train.samples import Samples
from saddlepoint.train.step import Learner
from saddlepoint.train.worst import Adversary
from tests.train.kit import Digits, MakeNet, MakePlan


def problem(n: int, seed: int = 0) -> tuple[nn.Module, Tensor, Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(9)
        net = nn.Sequential(nn.Linear(6, 10), nn.Tanh(), nn.Linear(10, 3))
        torch.manual_seed(seed)
        return net, torch.rand(n, 6), torch.arange(n) % 3


def adversary(net: nn.Module, threat: ThreatModel) -> Adversary:
    def never(oracle: object, draw: Draw) -> None:
        raise AssertionError("free training asks no attack")

    return Adversary(Inner(threat, never), Draw.of(0, torch.arange(4)), net, net)


def slope(net: nn.Module, x: Tensor, u: Tensor, y: Tensor) -> Tensor:
    u = u.clone().requires_grad_()
    (g,) = torch.autograd.grad(nn.functional.cross_entropy(net(x + u), y), u)
    return g


def test_three_replays_by_hand() -> None:
    net, x, y = problem(8)
    worst, u = adversary(net, Linf(eps=0.1)), torch.zeros(8, 6)
    for _ in range(3):
        expected = nn.functional.cross_entropy(net(x + u), y)
        g = slope(net, x, u, y)
        loss = Free(step_size=0.6)(net, x, y, worst)
        torch.testing.assert_close(loss, expected)
        loss.backward()
        u = (u + 0.06 * g.sign()).clamp(-0.1, 0.1)
        u = (x + u).clamp(0, 1) - x
        torch.testing.assert_close(worst.memory["u"], u)
        assert not worst.memory["u"].requires_grad
    assert float(u.abs().max()) > 0.099


def test_the_outer_gradient_is_taken_at_the_perturbation() -> None:
    net, x, y = problem(8)
    worst, u = adversary(net, Linf(eps=0.1)), 0.07 * torch.ones(8, 6)
    u = (x + u).clamp(0, 1) - x
    worst.memory["u"] = u
    expected = torch.autograd.grad(
        nn.functional.cross_entropy(net(x + u), y), list(net.parameters())
    )
    Free()(net, x, y, worst).backward()
    for p, g in zip(net.parameters(), expected, strict=True):
        assert p.grad is not None
        torch.testing.assert_close(p.grad, g)


@pytest.mark.parametrize("threat", [Linf(eps=0.1), L2(eps=0.2)], ids=repr)
def test_it_stays_in_the_set_of_every_batch(threat: Linf | L2) -> None:
    net, _, _ = problem(8)
    worst = adversary(net, threat)
    seen: list[Tensor] = []
    net.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
    for k, n in enumerate((8, 8, 5, 9, 8, 1)):
        _, x, y = problem(n, seed=k)
        x[0] = float(k % 2)  # at the end of the input range, on alternating sides
        Free(step_size=3.0)(net, x, y, worst).backward()
        assert bool(threat.contains(x, seen[-1] - x, 1e-6).all())
        assert bool(threat.contains(x, worst.memory["u"], 1e-6).all())
        assert len(worst.memory["u"]) == n
        assert k == 0 or n == 1 or float((seen[-1] - x).abs().max()) > 0.05


@pytest.mark.parametrize("n", [5, 11])
def test_another_batch_size_takes_the_rows_there_are(n: int) -> None:
    net, x, y = problem(8)
    worst = adversary(net, Linf(eps=0.1))
    Free()(net, x, y, worst).backward()
    u = worst.memory["u"]
    _, x, y = problem(n, seed=1)
    seen: list[Tensor] = []
    net.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
    Free()(net, x, y, worst)
    few = min(n, 8)
    carried = (x[:few] + u[:few].clamp(-0.1, 0.1)).clamp(0, 1)
    torch.testing.assert_close(seen[0][:few], carried)
    assert seen[0][8:].equal(x[8:])


def spy(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, float]]:
    """(epoch, first id of the batch, rate) of each step of the optimizer."""
    seen: list[tuple[int, int, float]] = []
    step = torch.optim.SGD.step

    def counted(self: torch.optim.SGD, closure: Callable[[], float] | None = None) -> object:
        seen[-1] = (*seen[-1][:2], self.param_groups[0]["lr"])
        return step(self, closure)

    monkeypatch.setattr(torch.optim.SGD, "step", counted)
    inner = Learner._step

    def told(
        self: Learner, number: int, at: int, steps: int, batch: object, *rest: object
    ) -> object:
        seen.append((number, int(batch.ids[0]), 0.0))  # type: ignore[attr-defined]
        return inner(self, number, at, steps, batch, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Learner, "_step", told)
    return seen


def test_every_batch_is_trained_on_replays_times_and_the_schedule_counts_them(
    plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y, *_ = digits
    p = plan(loss=Free(replays=3), epochs=2, optimizer="sgd", lr=0.1, schedule="cosine")
    seen = spy(monkeypatch)
    trained = train(p, net(), x, y, tmp_path, progress=False)
    batches = [(e, int(b.ids[0])) for e in (1, 2) for b in Samples.of(p, x, y).batches(e)]
    assert [s[:2] for s in seen] == [b for b in batches for _ in range(3)]
    assert len(seen) == 2 * 5 * 3
    t = (torch.arange(30, dtype=torch.float64) + 0.5) / 30
    rates = 0.05 * (1 + torch.cos(torch.pi * t))
    assert [s[2] for s in seen] == pytest.approx(rates.tolist())
    assert [e.lr for e in trained.history] == pytest.approx([rates[14].item(), rates[29].item()])


def test_a_step_leaves_nothing_behind_that_only_the_collector_frees() -> None:
    net, x, y = problem(7)
    worst = adversary(net, Linf(eps=0.1))
    gc.collect()
    gc.disable()
    try:
        kept = []
        for _ in range(4):
            Free()(net, x, y, worst).backward()
            kept.append(sum(type(o) is Tensor and o.shape == (7, 6) for o in gc.get_objects()))
    finally:
        gc.enable()
    assert kept[1] == kept[-1]


def test_the_perturbation_does_not_survive_an_epoch(
    plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path
) -> None:
    """Else a run that continues would differ from one that was never stopped."""
    x, y, *_ = digits
    first: list[bool] = []

    class Watched(Free):
        def __call__(self, model: nn.Module, x: Tensor, y: Tensor, worst: Adversary) -> Tensor:  # type: ignore[override]
            first.append("u" in worst.memory)
            return super().__call__(model, x, y, worst)

    train(plan(loss=Watched(replays=2), epochs=2), net(), x, y, tmp_path, progress=False)
    assert first == [False, *[True] * 9] * 2


def test_free_training_makes_robust(
    plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path
) -> None:
    x, y, *_ = digits
    robust = {}
    for loss in (Free(replays=4), "natural"):
        p = plan(loss=loss, epochs=5 if loss != "natural" else 20, check=PGD(steps=10))
        robust[str(loss)] = train(p, net(), x, y, tmp_path / str(loss), progress=False).best.robust
    assert robust["Free(replays=4)"] > robust["natural"] + 0.1
