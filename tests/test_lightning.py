"""``AuditEvery``: with Lightning where it is installed, and with stand-ins of what it asks."""

import copy
import functools
import importlib
import pickle
import sys
import types
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.core.errors import Invalid, Missing, Unsupported
from saddlepoint.lightning import AuditEvery

REAL = [
    name for name in ("lightning.pytorch", "pytorch_lightning") if find_spec(name.split(".")[0])
]
QUICK = {"attacks": (sp.FGSM(),)}


@functools.cache
def natural() -> tuple[nn.Module, Tensor, Tensor]:
    """The class whose mean is nearest, as a linear layer, and digits."""
    data = sp.load_data("digits")
    x, y = data.split("train").batch(torch.arange(500))
    means = torch.stack([x[y == k].flatten(1).mean(0) for k in range(10)])
    layer = nn.Linear(64, 10)
    layer.load_state_dict({"weight": means, "bias": -means.square().sum(1) / 2})
    return nn.Sequential(nn.Flatten(), layer), *data.split("test").batch(torch.arange(48))


class Callback:
    """Lightning's, as far as it is asked here."""

    state_key = "key"

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:  # noqa: ANN401
        pass


class Strategy:
    sent: Any = None

    def broadcast(self, said: Any, src: int = 0) -> Any:  # noqa: ANN401
        return said if self.sent is None else self.sent


class FSDPStrategy(Strategy):
    pass


class Trainer:
    """A trainer that goes on from a checkpoint, as it is at the end of ``epoch``."""

    is_global_zero, max_epochs = True, 20

    def __init__(self, epoch: int = 0) -> None:
        self.current_epoch, self.strategy = epoch, Strategy()

    def begin(self, callback: Any) -> None:  # noqa: ANN401
        """Call what a real one calls first: it knows how far it is after ``on_fit_start`` only."""
        done, self.current_epoch = self.current_epoch, 0
        callback.on_fit_start(self, None)
        self.current_epoch = done
        callback.on_train_start(self, None)


class Module(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net, self.rest = net, nn.Dropout(0.5)
        self.logged: list[dict[str, float]] = []

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.rest(self.net(x))
        return out

    def log_dict(self, said: dict[str, float], **_: Any) -> None:  # noqa: ANN401
        self.logged.append(said)


@pytest.fixture
def _stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = types.ModuleType("lightning.pytorch")
    module.Callback = Callback
    monkeypatch.setitem(sys.modules, "lightning.pytorch", module)


@pytest.mark.usefixtures("_stand_in")
def test_it_audits_when_it_is_time_and_leaves_the_module_as_it_was() -> None:
    net, x, y = natural()
    module = Module(net).train()
    module.rest.eval()
    callback = AuditEvery(2, (x, y), sp.Linf(0.1), prefix="audit/", **QUICK)
    assert isinstance(callback, Callback)
    assert isinstance(callback, AuditEvery)
    Trainer().begin(callback)
    before = torch.random.get_rng_state()
    for epoch in range(4):
        callback.on_train_epoch_end(Trainer(epoch), module)
    assert torch.equal(before, torch.random.get_rng_state())
    assert module.training
    assert not module.rest.training
    found = sp.audit(module, (x, y), sp.Linf(0.1), figures=0, probes=0, **QUICK)
    low, high = found.interval
    wanted = {
        "audit/clean_accuracy": found.clean_accuracy,
        "audit/robust_accuracy": found.robust_accuracy,
        "audit/robust_accuracy_low": low,
        "audit/robust_accuracy_high": high,
    }
    assert module.logged == [wanted, wanted]
    assert 0 < found.robust_accuracy < found.clean_accuracy
    assert callback.last is not None


@pytest.mark.usefixtures("_stand_in")
def test_other_processes_log_what_the_first_found() -> None:
    module, trainer = Module(nn.Identity()), Trainer()
    trainer.is_global_zero, trainer.strategy.sent = False, {"robust_accuracy": 0.25}
    callback = AuditEvery(1, "never looked at", sp.Linf(0.1))
    callback.on_train_epoch_end(trainer, module)
    assert module.logged == [{"robust_accuracy": 0.25}]
    assert callback.last is None
    trainer.strategy.sent = Invalid("x", 1, "2")
    with pytest.raises(Invalid):
        callback.on_train_epoch_end(trainer, module)


@pytest.mark.usefixtures("_stand_in")
def test_what_cannot_be_is_refused_before_the_first_epoch(tmp_path: Path) -> None:
    net, x, y = natural()
    with pytest.raises(Invalid, match="epochs = 0"):
        AuditEvery(0, (x, y), sp.Linf(0.1))
    callback, trainer = AuditEvery(1, (x, y), sp.Linf(0.1), out=tmp_path), Trainer(3)
    (tmp_path / "epoch-3").mkdir()
    trainer.begin(callback)  # a training that goes on
    (tmp_path / "epoch-12").mkdir()
    with pytest.raises(Invalid, match="there is epoch-12"):
        trainer.begin(callback)
    trainer.strategy = FSDPStrategy()
    with pytest.raises(Unsupported, match="FSDPStrategy"):
        callback.on_fit_start(trainer, None)
    with pytest.raises(Invalid, match="attack"):
        AuditEvery(1, (x, y), sp.Linf(0.1), attacks="no such suite").on_train_epoch_end(
            Trainer(), Module(net)
        )


@pytest.mark.usefixtures("_stand_in")
@pytest.mark.parametrize(
    ("data", "threat", "options", "said"),
    [
        ("nonsense", sp.Linf(0.1), {}, "data = <str>"),
        ((torch.rand(2, 2), torch.tensor([0, 1])), "nonsense", {}, "threat = 'nonsense'"),
        ((torch.rand(2, 2), torch.tensor([0, 1])), sp.Linf, {}, "threat = 'Linf'"),
        ((torch.rand(2, 2), torch.tensor([0, 1])), sp.Linf(0.1), {"figure": 3}, "mean figures"),
    ],
)
def test_what_no_audit_takes_is_refused_at_the_start(
    data: Any,  # noqa: ANN401
    threat: Any,  # noqa: ANN401
    options: dict[str, Any],
    said: str,
) -> None:
    with pytest.raises(Invalid, match=said):
        AuditEvery(5, data, threat, **options).on_fit_start(Trainer(), None)


@pytest.mark.usefixtures("_stand_in")
@pytest.mark.parametrize("most", [20, None, -1])
def test_a_training_that_ends_before_the_first_audit_is_warned_of(most: int | None) -> None:
    _, x, y = natural()
    trainer = Trainer()
    trainer.max_epochs = most  # type: ignore[assignment]
    AuditEvery(20, (x, y), sp.Linf(0.1)).on_fit_start(trainer, None)
    late = AuditEvery(21, (x, y), sp.Linf(0.1))
    if most == 20:
        with pytest.warns(UserWarning, match="never audits"):
            late.on_fit_start(trainer, None)
    else:  # no end is known
        late.on_fit_start(trainer, None)


@pytest.mark.usefixtures("_stand_in")
def test_a_net_at_chance_is_audited_all_the_same() -> None:
    _, x, y = natural()
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    nn.init.zeros_(net[1].weight)  # type: ignore[arg-type]
    module = Module(net)
    callback = AuditEvery(1, (x, y), sp.Linf(0.1), **QUICK)
    callback.on_train_epoch_end(Trainer(), module)
    assert callback.last is not None
    assert module.logged[0]["clean_accuracy"] == callback.last.clean_accuracy < 0.3
    with pytest.raises(Invalid, match="better than guessing"):
        AuditEvery(1, (x, y), sp.Linf(0.1), force=False, **QUICK).on_train_epoch_end(
            Trainer(), module
        )


@pytest.mark.usefixtures("_stand_in")
def test_it_survives_pickling(tmp_path: Path) -> None:
    net, x, y = natural()
    callback = AuditEvery(2, (x, y), sp.Linf(0.1), prefix="a/", out=tmp_path, **QUICK)
    module: Any = Module(net)
    module.trainer = lambda: None  # as what holds a trainer, which cannot be pickled
    callback.on_train_epoch_end(Trainer(1), module)
    assert callback.last is not None
    again = pickle.loads(pickle.dumps(callback))  # noqa: S301 - our own, of a line ago
    assert type(again) is type(callback)
    assert isinstance(again, Callback)
    assert (again.epochs, again.prefix, again.out) == (2, "a/", tmp_path)
    assert (again.threat, again.options) == (callback.threat, callback.options)
    assert torch.equal(again.data[0], x)
    assert again.last is None
    assert copy.deepcopy(callback).epochs == 2


def test_without_lightning_the_install_line_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("lightning.pytorch", "pytorch_lightning"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr("saddlepoint.lightning.find_spec", lambda name: None)
    with pytest.raises(Missing, match="lightning is not installed: pip install lightning"):
        AuditEvery(1, None, None)


@pytest.fixture(params=REAL or ["lightning.pytorch"])
def real(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401
    package = pytest.importorskip(request.param)
    for name in REAL:
        if name != request.param:
            monkeypatch.delitem(sys.modules, name, raising=False)
    return package


@pytest.mark.filterwarnings("ignore")  # Lightning's own
def test_a_real_trainer_logs_and_monitors_it(real: Any, tmp_path: Path) -> None:  # noqa: ANN401
    _, x, y = natural()

    class Plain(real.LightningModule):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.Dropout(0.1))

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.net(x)
            return out

        def training_step(self, batch: Any, _: int) -> Tensor:  # noqa: ANN401
            assert self.training
            return nn.functional.cross_entropy(self(batch[0]), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), 0.05)

    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), 16)
    csv = importlib_loggers(real).CSVLogger(tmp_path, "log")
    each = AuditEvery(2, (x, y), sp.Linf(0.05), out=tmp_path / "audits", **QUICK)
    best = importlib_callbacks(real).ModelCheckpoint(
        tmp_path, monitor="robust_accuracy", mode="max", save_on_train_epoch_end=True
    )
    trainer = real.Trainer(
        max_epochs=4,
        accelerator="cpu",
        logger=csv,
        callbacks=[each, best],
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
    )
    trainer.fit(Plain(), loader)
    last = tmp_path / "last.ckpt"
    trainer.save_checkpoint(last)
    assert each.last is not None
    logged = trainer.callback_metrics["robust_accuracy"].item()
    assert logged == pytest.approx(each.last.robust_accuracy, abs=1e-6)
    assert best.best_model_score is not None
    heading, *lines = (Path(csv.log_dir) / "metrics.csv").read_text().splitlines()
    column = heading.split(",").index("robust_accuracy_high")
    assert sum(bool(line.split(",")[column]) for line in lines) == 2
    again = pickle.loads(pickle.dumps(each))  # noqa: S301 - our own, of a line ago
    further = {"max_epochs": 6, "accelerator": "cpu", "logger": False, "callbacks": [again]}
    quiet = dict.fromkeys(
        ("enable_progress_bar", "enable_model_summary", "enable_checkpointing"), False
    )
    with pytest.raises(Invalid, match="there is epoch-2"):
        real.Trainer(**further, **quiet).fit(Plain(), loader)
    real.Trainer(**further, **quiet).fit(Plain(), loader, ckpt_path=last)
    names = sorted(p.name for p in (tmp_path / "audits").iterdir())
    assert names == ["epoch-2", "epoch-4", "epoch-6"]


def importlib_loggers(package: Any) -> Any:  # noqa: ANN401
    return importlib.import_module(package.__name__ + ".loggers")


def importlib_callbacks(package: Any) -> Any:  # noqa: ANN401
    return importlib.import_module(package.__name__ + ".callbacks")
