"""Training does what it is for, and leaves the caller's things as they were."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from saddlepoint import PGD, Linf, search
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid
from saddlepoint.train import Diverged, Epoch, Worst, train
from tests.train.kit import Digits, MakeNet, MakePlan


def robust(model: nn.Module, x: Tensor, y: Tensor, eps: float = 0.1) -> float:
    return search(PGD(steps=20), model, x, y, Linf(eps=eps)).robust_accuracy


def clean(model: nn.Module, x: Tensor, y: Tensor) -> float:
    with torch.no_grad():
        return (model(x).argmax(1) == y).double().mean().item()


def test_adversarial_training_beats_natural_training(
    plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path
) -> None:
    x, y, x_test, y_test = digits
    usual = {"epochs": 15, "batch_size": 128, "attack": PGD(steps=4, step_size=0.5)}
    got = {}
    for loss in ("natural", "madry"):
        trained = train(plan(loss=loss, **usual), net(), x, y, tmp_path / loss, progress=False)
        got[loss] = (clean(trained.model, x_test, y_test), robust(trained.model, x_test, y_test))
        held_out = trained.best
        assert abs(held_out.robust - got[loss][1]) < 0.2
    assert min(got["natural"][0], got["madry"][0]) > 0.85
    assert got["madry"][1] > got["natural"][1] + 0.15


def test_the_best_epoch_is_kept_not_the_last(
    plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path
) -> None:
    x, y, *_ = digits
    # At this rate the later epochs destroy what the first ones learnt.
    p = plan(optimizer="sgd", lr=3.0, momentum=0.0, schedule="constant", epochs=6)
    trained = train(p, net(), x, y, tmp_path, progress=False)
    curve = [e.robust for e in trained.history]
    assert trained.best.robust == max(curve)
    again = train(p, net(), x, y, tmp_path, progress=False)
    assert again.best == trained.best


def test_natural_training_keeps_the_best_clean_epoch(
    plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path
) -> None:
    x, y, *_ = digits
    p = plan(loss="natural", epochs=5)
    trained = train(p, net(), x, y, tmp_path, progress=False)
    assert trained.best.clean == max(e.clean for e in trained.history)


def test_the_model_and_the_random_state_are_left_as_found(
    plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path
) -> None:
    x, y, *_ = digits
    model = net()
    model[1].requires_grad_(False)
    frozen = model[1].weight.clone()
    torch.manual_seed(11)
    before = torch.get_rng_state()
    trained = train(plan(epochs=1), model, x, y, tmp_path, progress=False)
    assert torch.get_rng_state().equal(before)
    assert trained.model is model
    assert not any(m.training for m in model.modules())
    assert [p.requires_grad for p in model.parameters()] == [False, False, True, True]
    assert all(p.grad is None for p in model.parameters())
    assert model[1].weight.equal(frozen)
    assert {p.device.type for p in model.parameters()} == {"cpu"}


def test_after_an_error_modes_and_flags_are_back(
    plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path
) -> None:
    x, y, *_ = digits
    model = net()
    model[2].eval()

    def objective(model: nn.Module, x: Tensor, y: Tensor, worst: Worst) -> Tensor:
        worst(model, x, y)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        train(plan(loss=objective), model, x, y, tmp_path, progress=False)
    assert [m.training for m in model] == [True, True, False, True]
    assert all(p.requires_grad for p in model.parameters())


def test_the_model_is_in_training_mode_while_it_learns(
    plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path
) -> None:
    x, y, *_ = digits
    seen = set()

    class Watch(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            seen.add((self.training, torch.is_grad_enabled(), x.requires_grad))
            return x

    model = nn.Sequential(Watch(), *net())
    train(plan(epochs=1), model, x, y, tmp_path, progress=False)
    assert seen == {(False, False, False), (False, True, True), (True, True, False)}


def test_parts_in_eval_mode_stay_so_while_the_rest_learns(
    plan: MakePlan, digits: Digits, tmp_path: Path
) -> None:
    x, y, *_ = digits
    for name, frozen in (("still", True), ("all", False)):
        back = nn.Sequential(nn.Linear(64, 32), nn.BatchNorm1d(32))
        net = nn.Sequential(nn.Flatten(), back, nn.ReLU(), nn.Linear(32, 10))
        back.requires_grad_(False)
        # A model that is in eval mode as a whole was merely used before.
        back.eval() if frozen else net.eval()
        trained = train(plan(epochs=1), net, x, y, tmp_path / name, progress=False)
        statistics = trained.model.get_submodule("1.1").get_buffer("running_mean")
        assert bool((statistics == 0).all()) is frozen


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_epoch(
    plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path
) -> None:
    x, y, *_ = digits
    calls = []

    def objective(model: nn.Module, x: Tensor, y: Tensor, worst: Worst) -> Tensor:
        calls.append(1)
        scale = math.nan if len(calls) == 8 else 1.0  # five steps an epoch
        return nn.functional.cross_entropy(model(x), y) * scale

    p, rows = plan(loss=objective), []
    with pytest.raises(Diverged, match=r"nan in epoch 2, step 3 of 5.*epoch 1 of 4 was the last"):
        train(p, net(), x, y, tmp_path, progress=False, on_epoch=rows.append)
    assert len(rows) == 1
    assert (tmp_path / "model.safetensors").exists()
    assert '"status": "diverged"' in (tmp_path / "model.json").read_text()


def test_weights_that_overflow_in_the_last_step_are_not_kept(
    plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path
) -> None:
    x, y, *_ = digits
    p = plan(optimizer="sgd", lr=1e38, epochs=1, batch_size=1000, schedule="constant")
    with pytest.raises(Diverged, match=r"epoch 1.*no epoch was completed"):
        train(p, net(), x, y, tmp_path, progress=False)
    assert not (tmp_path / "model.safetensors").exists()


def test_an_attack_that_raises_stops_training(
    plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path
) -> None:
    x, y, *_ = digits

    def broken(oracle: object, draw: Draw) -> None:
        raise ArithmeticError("in the attack")

    with pytest.raises(ArithmeticError, match="in the attack"):
        train(plan(attack=broken), net(), x, y, tmp_path / "a", progress=False)
    with pytest.raises(Invalid, match="in the attack"):
        train(plan(check=broken), net(), x, y, tmp_path / "b", progress=False)


def test_floats_and_bytes_give_the_same_training(
    plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path
) -> None:
    x, y, *_ = digits
    a = train(plan(epochs=1), net(), x, y, tmp_path / "a", progress=False)
    floats = torch.from_numpy(x).float() / 255
    b = train(plan(epochs=1), net(), floats, torch.from_numpy(y), tmp_path / "b", progress=False)
    assert a.history[0].loss == b.history[0].loss


def test_progress_shows_epochs_and_accuracy(
    plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x, y, *_ = digits
    train(plan(epochs=2), net(), x, y, tmp_path)
    shown = capsys.readouterr()
    assert "epoch 2: loss" in shown.err
    assert "robust" in shown.err
    assert shown.out == ""


def test_bfloat16_trains_and_keeps_float32_weights(
    plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path
) -> None:
    x, y, *_ = digits
    trained = train(plan(precision="bfloat16"), net(), x, y, tmp_path, progress=False)
    assert {p.dtype for p in trained.model.parameters()} == {torch.float32}
    assert trained.history[-1].loss < trained.history[0].loss


class _Silenced(nn.Module):
    """Its answers turn NaN, in evaluation only, through a buffer that no gradient sees."""

    def __init__(self, net: nn.Module, after: int) -> None:
        super().__init__()
        self.net, self.after = net, after
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.seen += 1
        elif self.seen > self.after:
            return self.net(x) * math.nan
        return self.net(x)


def test_a_model_that_stops_answering_is_not_robust(
    plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path
) -> None:
    x, y, *_ = digits
    rows: list[Epoch] = []
    p = plan(loss="natural")
    with pytest.raises(Diverged, match=r"no longer finite.*epoch 1 of 4 was the last"):
        train(p, _Silenced(net(), 8), x, y, tmp_path, progress=False, on_epoch=rows.append)
    assert len(rows) == 1


def test_statistics_that_are_not_finite_stop_the_run(
    plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path
) -> None:
    x, y, *_ = digits
    model = nn.Sequential(nn.Flatten(0, 0), nn.BatchNorm2d(1, momentum=None), net())
    p = plan(loss=_poisoned, epochs=2)
    with pytest.raises(Diverged, match="no longer finite"):
        train(p, model, x, y, tmp_path, progress=False)


def _poisoned(model: nn.Module, x: Tensor, y: Tensor, worst: Worst) -> Tensor:
    next(b for n, b in model.named_buffers() if n.endswith("running_var")).fill_(math.inf)
    return nn.functional.cross_entropy(model(x), y)
