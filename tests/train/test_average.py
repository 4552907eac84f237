"""The weight average against its recursion, and that it is what a run measures and keeps."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from saddlepoint import PGD, Linf, search
from saddlepoint.train import train
from saddlepoint.train.average import Average
from saddlepoint.train.step import Learner
from tests.train.kit import Digits, MakePlan


def batch_norm_net() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return nn.Sequential(
            nn.Flatten(), nn.Linear(64, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 10)
        )


def follow(states: list[dict[str, Tensor]], decay: float) -> dict[str, Tensor]:
    """The recursion in float64: the first state, and then d mean + (1 - d) state."""
    mean = {k: v.double() for k, v in states[0].items()}
    for n, state in enumerate(states[1:], 1):
        d = min(decay, (1 + n) / (10 + n))
        for k, v in state.items():
            mean[k] = d * mean[k] + (1 - d) * v.double() if v.is_floating_point() else v.double()
    return mean


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.999])
def test_the_average_follows_its_recursion(decay: float) -> None:
    net = batch_norm_net()
    mean = Average(net, decay)
    net[1].weight.requires_grad_(False)
    optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.5)
    states = []
    for step in range(12):
        x = torch.rand(16, 64, generator=torch.Generator().manual_seed(step)) * (step + 1)
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), torch.arange(16) % 10).backward()
        optimizer.step()
        mean.update_parameters(net)
        states.append(copy.deepcopy(net.state_dict()))
    expected = follow(states, decay)
    got = mean.module.state_dict()
    assert got.keys() == expected.keys()
    for name, value in got.items():
        torch.testing.assert_close(value.double(), expected[name], atol=1e-5, rtol=1e-5)
    assert int(got["2.num_batches_tracked"]) == 12
    moved = (got["2.running_var"] - states[-1]["2.running_var"]).abs().max()
    assert (float(moved) > 1e-3) is (decay > 0)


def spy_on_updates(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Tensor]]:
    """Record the weights after each step, as the run itself has them."""
    states: list[dict[str, Tensor]] = []
    step = Learner._step

    def recorded(self: Learner, *args: Any) -> Tensor:  # noqa: ANN401
        loss = step(self, *args)
        states.append({k: v.clone() for k, v in self.bare.state_dict().items()})
        return loss

    monkeypatch.setattr(Learner, "_step", recorded)
    return states


def test_a_run_keeps_and_measures_the_average(
    plan: MakePlan, digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y, *_ = digits
    states = spy_on_updates(monkeypatch)
    # The best epoch is the last one, so that the kept weights are those of the last step.
    p = plan(epochs=3, ema=0.8, check=PGD(steps=3), lr=1e-2)
    trained = train(p, batch_norm_net(), x, y, tmp_path, progress=False)
    steps = len(states) // 3
    expected = follow(states[: trained.best_epoch * steps], 0.8)
    kept = load_file(tmp_path / "model.safetensors")
    for name, value in kept.items():
        torch.testing.assert_close(value.double(), expected[name], atol=1e-5, rtol=1e-4)
    assert all(v.equal(kept[k]) for k, v in trained.model.state_dict().items())
    last = states[trained.best_epoch * steps - 1]
    assert float((kept["1.weight"] - last["1.weight"]).abs().max()) > 1e-3
    # What the curve says of the best epoch is true of the kept weights.
    from saddlepoint.train.samples import Samples

    rows = Samples.of(p, x, y).measured()
    with torch.no_grad():
        clean = (trained.model(rows.x).argmax(1) == rows.y).double().mean().item()
    found = search(PGD(steps=3), trained.model, rows.x, rows.y, Linf(eps=0.1), ids=rows.ids)
    assert trained.best.clean == pytest.approx(clean)
    assert trained.best.robust == pytest.approx(found.robust_accuracy)


def test_without_decay_there_is_no_average(
    plan: MakePlan, digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y, *_ = digits
    states = spy_on_updates(monkeypatch)
    trained = train(plan(epochs=1), batch_norm_net(), x, y, tmp_path, progress=False)
    assert all(v.equal(states[-1][k]) for k, v in trained.model.state_dict().items())


def test_an_average_is_resumed_bit_identical(
    plan: MakePlan, digits: Digits, tmp_path: Path
) -> None:
    x, y, *_ = digits
    p = plan(epochs=3, ema=0.9)
    straight = train(p, batch_norm_net(), x, y, tmp_path / "a", progress=False)

    def stop(row: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        train(p, batch_norm_net(), x, y, tmp_path / "b", progress=False, on_epoch=stop)
    state = torch.load(tmp_path / "b/state.pt", weights_only=True)
    assert int(state["ema"]["n_averaged"]) == 5
    resumed = train(p, batch_norm_net(), x, y, tmp_path / "b", progress=False)
    ours, theirs = straight.model.state_dict(), resumed.model.state_dict()
    assert all(v.equal(theirs[k]) for k, v in ours.items())
    assert [e.loss for e in straight.history] == [e.loss for e in resumed.history]
