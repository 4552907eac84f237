"""What a run says: to TensorBoard, to the screen, and to a compiler."""

import time
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from saddlepoint import PGD
from saddlepoint.core.errors import Invalid, Missing
from saddlepoint.train import Epoch, assemble, loggers, logs, train
from saddlepoint.train import run as run_module
from saddlepoint.train.progress import display, time_left
from saddlepoint.train.samples import Samples
from tests.train.kit import Digits, MakeNet, MakePlan


class Stop(Exception):
    pass


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    event_accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator"
    )
    log = event_accumulator.EventAccumulator(str(folder))
    log.Reload()
    return {tag: [(e.step, e.value) for e in log.Scalars(tag)] for tag in log.Tags()["scalars"]}


def test_tensorboard_has_the_curve_and_a_resumed_run_goes_on(
    plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path
) -> None:
    pytest.importorskip("tensorboard")
    x, y, *_ = digits

    def stop(row: Epoch) -> None:
        raise Stop

    p = plan(epochs=3)
    with pytest.raises(Stop):
        train(p, net(), x, y, tmp_path, progress=False, on_epoch=stop, logger="tensorboard")
    first = scalars(tmp_path / "tensorboard")
    assert [s for s, _ in first["train/loss"]] == [1, 2, 3, 4, 5]
    trained = train(p, net(), x, y, tmp_path, progress=False, logger="tensorboard")
    seen = scalars(tmp_path / "tensorboard")
    assert [s for s, _ in seen["train/loss"]] == list(range(1, 16))
    losses = [value for _, value in seen["train/loss"]]
    for k, row in enumerate(trained.history):
        assert sum(losses[5 * k : 5 * k + 5]) / 5 == pytest.approx(row.loss, rel=1e-5)
    for name in ("clean", "robust", "own"):
        wanted = [(5 * e.epoch, getattr(e, name)) for e in trained.history]
        assert seen[f"held_out/{name}"] == [(s, pytest.approx(v)) for s, v in wanted]
    assert [v for _, v in seen["train/lr"]] == pytest.approx([e.lr for e in trained.history])


def test_steps_of_an_epoch_that_was_not_saved_are_taken_back(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    with logs.recorded("tensorboard", tmp_path, steps=2, done=0) as to:
        for loss in (1.0, 2.0, 3.0):  # killed in the middle of the second epoch
            to.step(loss)
    with logs.recorded("tensorboard", tmp_path, steps=2, done=1) as to:
        to.step(4.0)
        to.say("epoch 2 collapsed")
    assert scalars(tmp_path / "tensorboard")["train/loss"] == [(1, 1.0), (2, 2.0), (3, 4.0)]


def test_guard_events_reach_the_screen_and_the_log(
    plan: MakePlan,
    net: MakeNet,
    digits: Digits,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    answers = iter([(0.9, 0.6, 0.7), (0.9, 0.0, 0.9), (0.9, 0.6, 0.7)])

    def measure(model: nn.Module, samples: Samples, attack: Any) -> tuple[float, float, float]:  # noqa: ANN401
        return next(answers)

    monkeypatch.setattr(run_module, "measure", measure)
    x, y, *_ = digits
    p = plan(epochs=2, attack=PGD(steps=1))
    train(p, net(), x, y, tmp_path, logger="tensorboard")
    shown = " ".join(capsys.readouterr().err.split())
    assert shown.count("epoch 2 collapsed") == 1
    assert "back to epoch 1, on with PGD(steps=4, step_size=0.5)" in shown
    log = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    log.Reload()
    (event,) = log.Tensors("events/text_summary")
    assert b"epoch 2 collapsed" in event.tensor_proto.string_val[0]
    assert [e.step for e in log.Scalars("train/loss")] == [*range(1, 11), *range(6, 11)]


def test_a_logger_that_cannot_be_is_refused_before_any_work(
    plan: MakePlan,
    net: MakeNet,
    digits: Digits,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x, y, *_ = digits
    with pytest.raises(Invalid, match="did you mean tensorboard"):
        train(plan(), net(), x, y, tmp_path / "a", logger="tensorbord")
    monkeypatch.setattr(loggers, "find_spec", lambda name: None)
    with pytest.raises(Missing, match=r"tensorboard is not installed: pip install .*\[track\]"):
        train(plan(), net(), x, y, tmp_path / "a", logger="tensorboard")
    assert not (tmp_path / "a").exists()


def test_the_time_left_does_not_count_what_was_done_before(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert time_left(60.0, 6, 30) == "0:05:00"
    now = time.monotonic()
    with display(steps=10, epochs=10, done=5, show=True) as to:
        monkeypatch.setattr(time, "monotonic", lambda: now + 60)
        to.step(1.0, 5)  # a minute for 5 steps: 45 more take 9
        monkeypatch.undo()
    (last,) = [s for s in capsys.readouterr().err.splitlines() if "loss 1.0000" in s]
    assert "epoch 6/10" in last
    assert "0:09:00" in last or "0:08:59" in last


def test_a_missing_compiler_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_compiler(model: object) -> object:
        raise RuntimeError("\nno working C++ compiler: g++\nmore")

    monkeypatch.setattr(torch, "compile", no_compiler)
    with pytest.raises(Invalid, match=r"compiled = True: .*; no working C\+\+ compiler: g\+\+$"):
        assemble.check_compiler(torch.device("cpu"))


class Eager(nn.Module):
    """Nothing, but remembers each call that was not compiled, and whether it was to measure."""

    calls: ClassVar[list[bool]] = []
    measuring: ClassVar[bool] = False

    def forward(self, x: Tensor) -> Tensor:
        if not torch.compiler.is_compiling():
            self.calls.append(self.measuring)
        return x


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the compiler's own
def test_a_compiled_run_saves_the_same_keys_and_soon_stops_compiling(
    plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch._dynamo.utils import counters

    measure = run_module.measure

    def measured(*args: Any) -> Any:  # noqa: ANN401
        Eager.measuring = True
        try:
            return measure(*args)
        finally:
            Eager.measuring = False

    x, y, *_ = digits
    p = plan(epochs=3, ema=0.5)
    assert {len(b.y) for b in Samples.of(p, x, y).batches(1)} == {239, 240}
    plain = train(p, net(), x, y, tmp_path / "plain", progress=False)
    monkeypatch.setattr(run_module, "measure", measured)
    graphs = []

    def count(row: Epoch) -> None:
        graphs.append(counters["stats"]["unique_graphs"])

    counters.clear()
    Eager.calls.clear()
    model = nn.Sequential(*net(), Eager())
    how = {"progress": False, "compiled": True, "on_epoch": count}
    fast = train(p, model, x, y, tmp_path / "fast", **how)  # type: ignore[arg-type]
    assert 0 < graphs[0] == graphs[2] <= 10  # another size costs one more of each, once
    assert Eager.calls.count(False) == 3  # looks at the model before any work; no attack
    saved = [load_file(tmp_path / name / "model.safetensors").keys() for name in ("plain", "fast")]
    assert saved[0] == saved[1] == set(net().state_dict())
    assert [e.loss for e in fast.history] == pytest.approx([e.loss for e in plain.history], 1e-4)
