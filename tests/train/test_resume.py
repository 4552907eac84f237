"""Stopped anywhere and started again, a run ends with the same bits."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, load_file
from torch import Tensor, nn

from saddlepoint.core.errors import BadData, Invalid
from saddlepoint.train import (
    AWP,
    NFGSM,
    TRADES,
    Diverged,
    Epoch,
    Free,
    Madry,
    Worst,
    checkpoint,
    run,
    train,
)
from saddlepoint.train.checkpoint import Folder, State
from tests.train.kit import Digits, MakeNet, MakePlan


class Stop(Exception):
    pass


def stop_after(number: int, kind: type[BaseException] = Stop) -> Callable[[Epoch], None]:
    def on_epoch(row: Epoch) -> None:
        if row.epoch == number:
            raise kind

    return on_epoch


def fragile() -> nn.Module:
    """Every kind of state there is: dropout (global stream), batch norm (buffers)."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3),
            nn.Flatten(), nn.Linear(36, 10),
        )  # fmt: skip


def equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize(
    "changed",
    [
        {"augment": "flip-crop", "schedule": "cosine"},
        {"optimizer": "sgd", "lr": 0.1, "weight_decay": 1e-3},
        {"loss": "natural", "schedule": "one-cycle"},
        {"loss": Free(replays=2)},
        {"loss": AWP(TRADES()), "ema": 0.9, "eps_ramp": 0.7},
        {"loss": "mart", "attack": NFGSM(), "keep": "last", "precision": "bfloat16"},
    ],
)
def test_an_interrupted_run_ends_bit_identical(
    plan: MakePlan, digits: Digits, tmp_path: Path, changed: dict[str, Any]
) -> None:
    x, y = digits[0][:600], digits[1][:600]
    p = plan(batch_size=128, **changed)
    straight = train(p, fragile(), x, y, tmp_path / "a", progress=False)
    with pytest.raises(Stop):
        train(p, fragile(), x, y, tmp_path / "b", progress=False, on_epoch=stop_after(2))
    assert json.loads((tmp_path / "b/model.json").read_text())["status"] == "interrupted"
    torch.rand(7)  # the state of the global stream must not matter
    resumed = train(p, fragile(), x, y, tmp_path / "b", progress=False)
    assert equal(straight.model.state_dict(), resumed.model.state_dict())
    assert straight.best_epoch == resumed.best_epoch
    curves = [[(e.loss, e.clean, e.robust, e.lr) for e in r.history] for r in (straight, resumed)]
    assert curves[0] == curves[1]
    assert [e.epoch for e in resumed.history] == [1, 2, 3, 4]


def test_a_kill_between_the_best_weights_and_the_state_repeats_the_epoch(
    plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y, *_ = digits
    straight = train(plan(), net(), x, y, tmp_path / "a", progress=False)
    save_state = Folder._save_state

    def killed(self: Folder, state: State) -> None:
        if len(state.history) == 3:
            raise Stop
        save_state(self, state)

    monkeypatch.setattr(Folder, "_save_state", killed)
    with pytest.raises(Stop):
        train(plan(), net(), x, y, tmp_path / "b", progress=False)
    monkeypatch.undo()
    resumed = train(plan(), net(), x, y, tmp_path / "b", progress=False)
    assert equal(straight.model.state_dict(), resumed.model.state_dict())


def test_wherever_it_is_stopped_the_card_speaks_of_the_weights_beside_it(
    plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y, *_ = digits
    kept: dict[int, dict[str, Tensor]] = {}

    def keep(row: Epoch) -> None:
        best = json.loads((tmp_path / "a/model.json").read_text())["best_epoch"]
        kept[best] = load_file(tmp_path / "a/model.safetensors")

    p = plan(epochs=3)
    straight = train(p, net(), x, y, tmp_path / "a", progress=False, on_epoch=keep)
    write, left = checkpoint.write_bytes, 0

    def counted(path: Path, content: bytes) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise KeyboardInterrupt
        write(path, content)

    for stop in range(3, 15):  # two files mark the start, four are written for an epoch
        monkeypatch.setattr(checkpoint, "write_bytes", counted)
        left, out = stop, tmp_path / str(stop)
        with pytest.raises(KeyboardInterrupt):
            train(p, net(), x, y, out, progress=False)
        monkeypatch.undo()
        card = json.loads((out / "model.json").read_text())
        assert (card["status"], out.joinpath("model.safetensors.next").exists()) == (
            "interrupted",
            False,
        )
        if card["best_epoch"]:
            weights = (out / "model.safetensors").read_bytes()
            assert hashlib.sha256(weights).hexdigest() == card["sha256"]
            assert equal(load(weights), kept[card["best_epoch"]])
        resumed = train(p, net(), x, y, out, progress=False)
        assert equal(straight.model.state_dict(), resumed.model.state_dict())


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, Diverged])
def test_before_the_first_epoch_the_model_goes_back_to_its_start(
    error: type[BaseException],
    plan: MakePlan,
    net: MakeNet,
    digits: Digits,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x, y, *_ = digits
    straight = train(plan(epochs=2), net(), x, y, tmp_path / "a", progress=False)
    model = net()
    first = {k: v.clone() for k, v in model.state_dict().items()}
    with monkeypatch.context() as patched:
        patched.setattr(run, "measure", lambda *_: (_ for _ in ()).throw(error()))
        with pytest.raises(error):
            train(plan(epochs=2), model, x, y, tmp_path / "b", progress=False)
    assert equal(model.state_dict(), first)
    train(plan(epochs=2), model, x, y, tmp_path / "b", progress=False)
    assert equal(model.state_dict(), straight.model.state_dict())


def test_ctrl_c_in_the_middle_of_an_epoch_keeps_the_completed_ones(
    plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path
) -> None:
    x, y, *_ = digits
    calls = []

    def objective(model: nn.Module, x: Tensor, y: Tensor, worst: Worst) -> Tensor:
        calls.append(1)
        if len(calls) == 8:  # five steps an epoch
            raise KeyboardInterrupt
        return Madry()(model, x, y, worst)

    p = plan(loss=objective)
    with pytest.raises(KeyboardInterrupt, match=r"epoch 1 of 4 was the last.*continues"):
        train(p, net(), x, y, tmp_path, progress=False)
    card = json.loads((tmp_path / "model.json").read_text())
    assert (card["status"], card["best_epoch"], len(card["history"])) == ("interrupted", 1, 1)
    assert len(train(p, net(), x, y, tmp_path, progress=False).history) == 4


def test_a_finished_folder_returns_at_once(
    plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path
) -> None:
    x, y, *_ = digits
    first = train(plan(), net(), x, y, tmp_path, progress=False)
    stamp = (tmp_path / "model.safetensors").stat().st_mtime_ns
    seen = []
    again = train(plan(), net(), x, y, tmp_path, progress=False, on_epoch=seen.append)
    assert (tmp_path / "model.safetensors").stat().st_mtime_ns == stamp
    assert seen == []
    assert equal(first.model.state_dict(), again.model.state_dict())
    assert (first.history, first.best_epoch) == (again.history, again.best_epoch)
    assert not (tmp_path / "state.pt").exists()
    assert equal(load_file(tmp_path / "model.safetensors"), again.model.state_dict())


def test_another_plan_is_refused_and_the_difference_named(
    plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path
) -> None:
    x, y, *_ = digits
    train(plan(epochs=1), net(), x, y, tmp_path, progress=False)
    with pytest.raises(Invalid, match=r"epochs = 1 there, 2 here.*--out"):
        train(plan(epochs=2), net(), x, y, tmp_path, progress=False)
    with pytest.raises(Invalid, match="other training data"):
        train(plan(epochs=1), net(), x[::-1], y[::-1].copy(), tmp_path, progress=False)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"keep": "last"}, "keep = 'auto' there, 'last' here"),
        ({"ema": 0.5}, "ema = 0.0 there, 0.5 here"),
        ({"eps_ramp": 0.5}, "eps_ramp = 0.0 there, 0.5 here"),
        ({"guard": False}, "guard = True there, False here"),
        ({"loss": TRADES(beta=1.0)}, "loss = 'Madry()' there, 'TRADES(beta=1.0)' here"),
        ({"attack": NFGSM(), "ema": 0.5}, "attack = 'PGD(steps=2, step_size=0.75)' there, 'NF"),
    ],
    ids=range(6),
)
def test_another_recipe_is_refused_by_the_field_that_differs(
    plan: MakePlan, tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    with Folder(tmp_path, plan(), "sum").claimed(State()):
        assert Folder(tmp_path, plan(), "sum").open().history == ()
    with pytest.raises(Invalid) as caught:
        Folder(tmp_path, plan(**changed), "sum").open()
    assert said in str(caught.value)
    assert str(caught.value).count(" there, ") == len(changed)


def test_a_damaged_folder_is_not_continued(
    plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path
) -> None:
    x, y, *_ = digits
    with pytest.raises(Stop):
        train(plan(), net(), x, y, tmp_path, progress=False, on_epoch=stop_after(1))
    state = (tmp_path / "state.pt").read_bytes()
    (tmp_path / "state.pt").write_bytes(state[:1000])
    with pytest.raises(BadData, match=r"state\.pt is damaged"):
        train(plan(), net(), x, y, tmp_path, progress=False)
    (tmp_path / "state.pt").write_bytes(state)
    train(plan(), net(), x, y, tmp_path, progress=False)
    (tmp_path / "model.safetensors").write_bytes(b"half")
    with pytest.raises(BadData, match=r"not what model\.json describes"):
        train(plan(), net(), x, y, tmp_path, progress=False)


def test_a_folder_of_something_else_is_left_alone(
    plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path
) -> None:
    x, y, *_ = digits
    (tmp_path / "model.safetensors").write_bytes(b"mine")
    with pytest.raises(Invalid, match="not of this run"):
        train(plan(), net(), x, y, tmp_path, progress=False)
    (tmp_path / "model.json").write_text('{"arch": "mlp", "shape": [1, 8, 8], "classes": 10}')
    with pytest.raises(Invalid, match="not trained here"):
        train(plan(), net(), x, y, tmp_path, progress=False)
    (tmp_path / "model.json").write_text("{")
    with pytest.raises(BadData, match="cannot be read"):
        train(plan(), net(), x, y, tmp_path, progress=False)
    with pytest.raises(Invalid, match="a folder"):
        train(plan(), net(), x, y, tmp_path / "model.safetensors", progress=False)
    assert (tmp_path / "model.safetensors").read_bytes() == b"mine"
