"""Loggers beside TensorBoard: CSV, Weights & Biases and MLflow through Lightning, one's own."""

import csv
import importlib.machinery
import sys
import types
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from lightning_fabric.loggers import CSVLogger
from lightning_fabric.loggers.logger import Logger as FabricLogger

import saddlepoint as sp
from saddlepoint.audit.logged import log_audit
from saddlepoint.core.errors import Invalid, Missing
from saddlepoint.train import loggers, logs, train
from tests.disguised import disguise
from tests.train.kit import Digits, MakeNet, MakePlan

X = torch.tensor([[0.9, 0.1], [0.2, 0.7], [0.4, 0.8]])
LABELS = X.argmax(1)


def audit(**more: Any) -> sp.Audit:  # noqa: ANN401
    few = {"attacks": (sp.FGSM(),), "figures": 0, "probes": 0}
    return sp.audit(torch.nn.Identity(), (X, LABELS), sp.Linf(0.22), **{**few, **more})


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


class Finished:
    """A run of a service, as far as it is ended."""

    done = 0

    def finish(self) -> None:
        self.done += 1


class Recorder(FabricLogger):
    """Keeps what it is told."""

    made: ClassVar[list["Recorder"]] = []
    name, version = "recorder", 0  # type: ignore[assignment]

    def __init__(self, **told: Any) -> None:  # noqa: ANN401
        self.told, self.experiment = told, Finished()
        self.metrics: list[tuple[int | None, dict[str, float]]] = []
        self.params: dict[str, Any] = {}
        self.status: list[str] = []
        self.made.append(self)

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.metrics.append((step, metrics))

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        self.params |= params

    def finalize(self, status: str) -> None:
        self.status.append(status)


class Failing(Recorder):
    """Fails where it is told to."""

    def __init__(self, method: str) -> None:
        super().__init__()
        setattr(self, method, self.fail)
        self.method = method

    def fail(self, *_: object, **__: object) -> None:
        raise OSError(self.method)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> list[Recorder]:
    """Stand-ins of wandb, mlflow and pytorch_lightning; the list of loggers that are made."""
    monkeypatch.setattr(Recorder, "made", [])
    for name in ("wandb", "mlflow", "pytorch_lightning", "pytorch_lightning.loggers"):
        module: Any = types.ModuleType(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        module.WandbLogger = module.MLFlowLogger = Recorder
        monkeypatch.setitem(sys.modules, name, module)
    return Recorder.made


def test_csv_has_the_curve_and_a_continued_run_a_version_of_its_own(
    plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path
) -> None:
    x, y, *_ = digits
    p = plan(epochs=2)

    def stop(row: Any) -> None:  # noqa: ANN401
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(p, net(), x, y, tmp_path, progress=False, logger="csv", on_epoch=stop)
    trained = train(p, net(), x, y, tmp_path, progress=False, logger="csv")
    for k, row in enumerate(trained.history):
        said = rows(tmp_path / f"csv/version_{k}")
        losses = [float(r["train/loss"]) for r in said if r["train/loss"]]
        assert sum(losses) / 5 == pytest.approx(row.loss, rel=1e-5)
        (held,) = [r for r in said if r["held_out/robust"]]
        assert float(held["held_out/robust"]) == pytest.approx(row.robust)
        assert int(held["step"]) == 5 * row.epoch


def test_a_logger_of_ones_own_hears_all_and_stays_open(
    plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path
) -> None:
    x, y, *_ = digits
    own = Recorder()
    train(plan(epochs=1), net(), x, y, tmp_path, progress=False, logger=own)
    assert own.params["threat"] == "Linf(eps=0.1)"
    assert [step for step, m in own.metrics if "train/loss" in m] == [1, 2, 3, 4, 5]
    assert own.status == []
    audit(logger=own)
    step, said = own.metrics[-1]
    assert step == 0
    assert own.status == []
    assert said["audit/robust_accuracy"] == pytest.approx(2 / 3)
    assert said["audit/robust_accuracy_low"] < 2 / 3 < said["audit/robust_accuracy_high"]


def test_what_is_said_in_words_is_counted_where_no_text_is_taken(tmp_path: Path) -> None:
    own = Recorder()
    with logs.recorded(own, tmp_path, steps=3, done=1) as to:
        to.say("epoch 2 collapsed")
        to.say("epoch 2 collapsed again")
    assert own.metrics == [(3, {"train/events": 1}), (3, {"train/events": 2})]


def test_services_are_named_after_the_folder_and_ended(
    service: list[Recorder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "ours")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://here")
    out = tmp_path / "runs/robust"
    result = replace(audit(), folder=out)
    log_audit(result, "wandb")
    log_audit(result, "mlflow")
    wandb, mlflow = service
    assert wandb.told == {"name": "runs/robust", "save_dir": out, "project": "saddlepoint"}
    assert mlflow.told == {
        "run_name": "runs/robust",
        "experiment_name": "ours",
        "tracking_uri": "http://here",
    }
    assert wandb.params["threat"] == mlflow.params["threat"] == "Linf(eps=0.22)"
    assert wandb.metrics == mlflow.metrics
    assert wandb.metrics[0][1]["audit/clean_accuracy"] == result.clean_accuracy == 1.0
    assert wandb.status == mlflow.status == ["success"]
    assert (wandb.experiment.done, mlflow.experiment.done) == (1, 0)
    with pytest.raises(RuntimeError), loggers.opened("wandb", out):
        raise RuntimeError
    assert service[-1].status == ["failed"]


def test_a_check_leaves_nothing_behind(
    service: list[Recorder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)

    def logger(tracking_uri: str, **_: object) -> None:
        Path(tracking_uri.removeprefix("sqlite:///")).write_text("tables")

    monkeypatch.setattr(sys.modules["pytorch_lightning.loggers"], "MLFlowLogger", logger)
    loggers.check_logger("mlflow")
    assert list(tmp_path.iterdir()) == []


def test_a_logger_that_fails_costs_no_audit(service: list[Recorder], tmp_path: Path) -> None:
    own = Failing("log_metrics")
    with pytest.warns(UserWarning, match="not logged: OSError: log_metrics"):
        assert audit(logger=own).robust_accuracy == pytest.approx(2 / 3)


def test_ctrl_c_in_a_logger_is_no_failure_of_it(service: list[Recorder]) -> None:
    own = Failing("log_metrics")
    own.log_metrics = disguise
    with pytest.raises(KeyboardInterrupt):
        audit(logger=own)


@pytest.mark.parametrize("broken", ["save", "finalize", "log_hyperparams"])
def test_a_log_is_ended_whatever_fails(
    broken: str, service: list[Recorder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Failing] = []

    def logger(**_: object) -> Failing:
        made.append(Failing(broken))
        return made[-1]

    monkeypatch.setattr(sys.modules["pytorch_lightning.loggers"], "WandbLogger", logger)
    with pytest.raises(OSError, match=broken), loggers.opened("wandb", tmp_path, {"n": 1}):
        pass
    if broken != "log_hyperparams":
        with pytest.raises(RuntimeError, match="first"), loggers.opened("wandb", tmp_path):
            raise RuntimeError("first")
        assert made[1].status == ([] if broken == "finalize" else ["failed"])
    assert [m.experiment.done for m in made] == [1] * len(made)


def test_audits_write_their_headline_as_csv(tmp_path: Path) -> None:
    result = audit(out=tmp_path, logger="csv", verify=5.0)
    (said,) = rows(tmp_path / "csv/version_0")
    assert float(said["audit/robust_accuracy"]) == pytest.approx(result.robust_accuracy)
    assert float(said["audit/certified_accuracy"]) == pytest.approx(result.certified_accuracy)
    with pytest.raises(Invalid, match="given with out"):
        audit(logger="csv")
    audit(logger=CSVLogger(tmp_path, "mine"))
    assert len(rows(tmp_path / "mine/version_0")) == 1


def test_what_is_no_logger_and_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Invalid, match="logger = 'int'"):
        audit(logger=3)
    with pytest.raises(Invalid, match=r"logger = <class CSVLogger>.*CSVLogger\(…\)"):
        audit(logger=CSVLogger)
    there = {"wandb"}
    monkeypatch.setattr(loggers, "find_spec", lambda name: name in there or None)
    with pytest.raises(Missing, match="mlflow is not installed: pip install mlflow pytorch-light"):
        loggers.check_logger("mlflow")
    with pytest.raises(Missing, match="pip install wandb pytorch-lightning"):
        loggers.check_logger("wandb")
    there.add("lightning")
    broken: Any = types.ModuleType("lightning.pytorch.loggers")
    monkeypatch.setitem(sys.modules, "lightning.pytorch.loggers", broken)

    def logger(**_: object) -> None:
        raise ModuleNotFoundError("No module named 'opentelemetry'")

    broken.WandbLogger = logger
    with pytest.raises(Missing, match="opentelemetry"):
        loggers.check_logger("wandb")
    broken.WandbLogger = dict
    loggers.check_logger("wandb")
