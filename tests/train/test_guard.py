"""The guard against silent collapse: what it sees, what it does, and that it can be resumed."""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from saddlepoint import (
    APGD,
    FGSM,
    L2,
    PGD,
    FrankWolfe,
    Linf,
    RandomSearch,
    Restarts,
    Targets,
    WorstOf,
)
from saddlepoint.core.access import Attack, Gradients
from saddlepoint.core.draw import Draw
from saddlepoint.core.threat import Convex, ThreatModel
from saddlepoint.models import build
from saddlepoint.train import (
    AWP,
    NFGSM,
    TRADES,
    Diverged,
    Epoch,
    Event,
    Free,
    Madry,
    Natural,
    RobustLoss,
    TrainPlan,
    Worst,
    train,
)
from saddlepoint.train.checkpoint import Folder
from saddlepoint.train.guard import collapsed, escalated, own_attack, stronger
from saddlepoint.train.run import Run
from saddlepoint.train.step import Learner
from saddlepoint.train.worst import Inner
from tests.train.kit import Digits, MakeNet, MakePlan

LINF = Linf(eps=0.1)


def row(own: float | None, robust: float) -> Epoch:
    return Epoch(3, 0.1, 0.99, robust, own, 1e-3, 1.0)


@pytest.mark.parametrize(
    ("own", "robust", "best", "expected"),
    [
        (0.986, 0.005, 0.8, True),
        (0.9, 0.0, 0.0, True),  # also before anything was robust
        (0.93, 0.85, 0.8, False),  # a few points are an honest gap
        (0.9, 0.46, 0.8, False),  # a gap of 0.44, but more than half is left
        (0.9, 0.44, 0.8, True),
        (0.5, 0.24, 0.0, True),
        (0.5, 0.26, 0.0, False),
        (0.5, 0.26, 0.6, True),  # less than half of what was there before
        (0.25, 0.125, 0.9, False),  # a gap of 0.125
        (0.4, 0.0, 0.0, True),
        (0.39, 0.0, 0.0, False),  # this does not look good to anyone
        (0.19, 0.0, 0.0, False),
        (0.0, 0.9, 0.9, False),  # the check sees more than the training attack
        (None, 0.0, 0.9, False),  # natural training has no training attack
    ],
)
def test_a_collapse_is_a_gap_and_a_loss(
    own: float | None, robust: float, best: float, expected: bool
) -> None:
    assert collapsed(row(own, robust), best) is expected


@dataclass(frozen=True)
class Idle:
    """Does nothing until it has four steps; then it is PGD."""

    steps: int = 1
    step_size: float | None = 1.0

    def __call__(self, oracle: Gradients[ThreatModel], draw: Draw) -> None:
        if self.steps < 4:
            oracle.value(oracle.threat.start(oracle.x))
        else:
            PGD(steps=self.steps)(oracle, draw)


@dataclass(frozen=True)
class Both:
    """Has two counts; the first of them is doubled, in every process alike."""

    k: int = 3
    steps: int = 5

    def __call__(self, oracle: Gradients[ThreatModel], draw: Draw) -> None: ...


@dataclass(frozen=True)
class Capped(Idle):
    """Nothing is known to be stronger."""

    steps: int = 21


@pytest.mark.parametrize(
    ("attack", "following"),
    [
        (FGSM(), PGD(steps=4, step_size=0.5)),
        (FGSM(loss="margin"), PGD(steps=4, step_size=0.5, loss="margin")),
        (NFGSM(), PGD(steps=4, step_size=0.5)),
        (PGD(steps=1, step_size=1.25), PGD(steps=4, step_size=0.5)),
        (PGD(steps=4, step_size=0.5), PGD(steps=8, step_size=0.25)),
        (PGD(steps=7), PGD(steps=14)),
        (PGD(steps=20, start="clean"), PGD(steps=40, start="clean")),
        (PGD(steps=21), None),
        (PGD(steps=40), None),
        (APGD(steps=5), APGD(steps=10)),
        (FrankWolfe(steps=5), FrankWolfe(steps=10)),
        (WorstOf(k=10), WorstOf(k=20)),
        (WorstOf(k=21), PGD(steps=10, step_size=0.25)),
        (Restarts(PGD(steps=4), n=3), Restarts(PGD(steps=8), n=3)),
        (Restarts(PGD(steps=40), n=2), None),  # and not the weaker PGD(steps=10)
        (Targets(FGSM(), n=2), Targets(PGD(steps=4, step_size=0.5), n=2)),
        (RandomSearch(n_queries=5), PGD(steps=10, step_size=0.25)),
        (Both(), Both(steps=10)),
        (Idle(2), Idle(4, 0.5)),
    ],
    ids=repr,
)
def test_the_next_stronger_attack(attack: Attack[Any], following: Attack[Any] | None) -> None:
    assert stronger(attack, LINF) == following


def test_an_attack_that_would_not_fit_is_not_proposed() -> None:
    @dataclass(frozen=True)
    class Picky:
        steps: int = 1

        def __call__(self, oracle: Gradients[Convex], draw: Draw) -> None: ...

    class Rotation:
        start = sample = project = steepest = apply = contains = __getitem__ = print

    assert stronger(Picky(), LINF) == Picky(2)
    assert stronger(Picky(), Rotation()) is None


def test_escalation_counts_events_and_ends_at_the_strongest() -> None:
    def at(n: int) -> Attack[Any]:
        return escalated(FGSM(), LINF, n)

    assert [at(n) for n in (0, 1, 2)] == [
        FGSM(),
        PGD(steps=4, step_size=0.5),
        PGD(steps=8, step_size=0.25),
    ]
    assert at(4) == at(9) == PGD(steps=32, step_size=0.0625)


def test_an_event_is_told_in_a_sentence() -> None:
    event = Event(5, 0.986, 0.005, 0.8, "FGSM()", "PGD(steps=4)", 4)
    assert str(event) == (
        "epoch 5 collapsed: held-out accuracy is 98.6% under the training attack FGSM() but 0.5% "
        "under the check (catastrophic overfitting); back to epoch 4, on with PGD(steps=4)"
    )
    assert "its weights are a new start, on with" in str(
        Event(1, 0.9, 0.0, 0.0, "FGSM()", "PGD()", 0)
    )
    off = str(Event(2, 0.9, 0.0, 0.0, "FGSM()", "", 2))
    assert off.endswith("the guard is off: nothing was done")
    over = str(Event(2, 0.9, 0.0, 0.0, "FGSM()", "", 1))
    assert over.endswith("back to epoch 1, no stronger inner attack is known")


@pytest.mark.parametrize(
    ("objective", "attack", "own"),
    [
        (Madry(), PGD(steps=3), PGD(steps=3)),
        (AWP(TRADES()), PGD(steps=2), PGD(steps=2)),
        (Madry(), NFGSM(), PGD(steps=1, step_size=1.25)),  # a member of the set
        (Free(step_size=0.5), PGD(), PGD(steps=1, step_size=0.5)),
        (Madry(), WorstOf(k=10), None),  # weaker than gradients by nature
        (Natural(), PGD(), None),
        (AWP(Natural()), PGD(), None),
    ],
    ids=repr,
)
def test_what_stands_for_the_training_attack(
    objective: RobustLoss, attack: Attack[Any], own: Attack[Any] | None
) -> None:
    assert own_attack(objective, attack) == own


# -- whole runs ------------------------------------------------------------------------------------

Make = Callable[..., Any]


@pytest.fixture
def fooled(plan: MakePlan) -> Make:
    """A plan whose training attack does nothing; in epoch 2 there is enough to lose."""

    def make(**changed: Any) -> Any:  # noqa: ANN401
        usual = {"attack": Idle(), "check": PGD(steps=5), "lr": 2e-3}
        return plan(**usual | changed)

    return make


def state_of(model: nn.Module) -> dict[str, Tensor]:
    return {k: v.clone() for k, v in model.state_dict().items()}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def events_of(folder: Path) -> list[dict[str, Any]]:
    """Without what the clock said."""
    events: list[dict[str, Any]] = json.loads((folder / "model.json").read_text())["events"]
    return [e | {"seconds": 0.0} for e in events]


def test_a_collapse_is_undone_and_training_goes_on_with_more(
    fooled: Make, net: MakeNet, digits: Digits, tmp_path: Path
) -> None:
    x, y, *_ = digits
    model, asked = net(), []
    kept: list[dict[str, Tensor]] = [state_of(model)]

    def loss(model: nn.Module, x: Tensor, y: Tensor, worst: Worst) -> Tensor:
        asked.append((worst.inner.attack, [p.detach().clone() for p in model.parameters()]))  # type: ignore[attr-defined]
        return Madry()(model, x, y, worst)

    p = fooled(loss=loss)
    trained = train(
        p, model, x, y, tmp_path, progress=False, on_epoch=lambda _: kept.append(state_of(model))
    )
    events = events_of(tmp_path)
    assert [e["weaker"] for e in events] == [repr(Idle()), repr(Idle(2, 0.5))]
    assert [e["stronger"] for e in events] == [repr(Idle(2, 0.5)), repr(Idle(4, 0.25))]
    first = events[0]["epoch"]
    assert first >= 2  # else nothing shows that it went back to an epoch
    assert all((e["epoch"], e["kept"]) == (first, first - 1) for e in events)
    assert all(e["own"] - e["robust"] >= 0.2 for e in events)
    # Five steps an epoch: the epoch is tried three times, from the same weights to the bit.
    begin = 5 * (first - 1)
    assert len(asked) == 5 * (4 + 2)
    attacks = [Idle()] * (begin + 5) + [Idle(2, 0.5)] * 5
    assert [a for a, _ in asked] == attacks + [Idle(4, 0.25)] * (len(asked) - len(attacks))
    for again in (0, 5, 10):
        weights = asked[begin + again][1]
        assert all(map(torch.equal, weights, kept[first - 1].values()))
    assert [e.epoch for e in trained.history] == [1, 2, 3, 4]
    assert len(kept) == 5
    assert not any(collapsed(e, 1.0) for e in trained.history if e.own and e.own > 0.3)
    told = Folder(tmp_path, p, json_sum(tmp_path)).open().events
    assert told == trained.events
    assert [replace(e, seconds=0.0) for e in told] == [Event(**e) for e in events]
    assert all(e.seconds > 0 for e in told)


def json_sum(folder: Path) -> str:
    said: str = json.loads((folder / "model.json").read_text())["samples_sha256"]
    return said


def test_the_user_is_told(
    fooled: Make, net: MakeNet, digits: Digits, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x, y, *_ = digits
    train(fooled(), net(), x, y, tmp_path)
    shown = " ".join(capsys.readouterr().err.split())
    assert "collapsed: held-out accuracy is" in shown
    assert f"on with {Idle(2, 0.5)!r}" in shown


def test_without_the_guard_a_collapse_is_recorded_and_kept(
    fooled: Make, net: MakeNet, digits: Digits, tmp_path: Path
) -> None:
    x, y, *_ = digits
    seen = []
    trained = train(
        fooled(guard=False), net(), x, y, tmp_path, progress=False, on_epoch=seen.append
    )
    assert [e.epoch for e in seen] == [e.epoch for e in trained.history] == [1, 2, 3, 4]
    events = events_of(tmp_path)
    assert events
    for e in events:
        at = trained.history[e["epoch"] - 1]
        assert (e["weaker"], e["stronger"], e["kept"]) == (repr(Idle()), "", e["epoch"])
        assert (e["own"], e["robust"]) == (at.own, at.robust)
    found = []
    for at in trained.history:
        best = max((e.robust for e in trained.history[: at.epoch - 1]), default=0.0)
        found += [at.epoch] * collapsed(at, best)
    assert [e["epoch"] for e in events] == found


ADAM: dict[str, Any] = {}
SGD: dict[str, Any] = {"optimizer": "sgd", "lr": 0.1, "ema": 0.7}


@pytest.mark.parametrize(
    ("changed", "when"),
    [
        pytest.param(ADAM, 1, id="adam-1", marks=pytest.mark.slow),
        pytest.param(ADAM, 2, id="adam-2"),
        pytest.param(SGD, 1, id="sgd-ema-1"),
        pytest.param(SGD, 2, id="sgd-ema-2", marks=pytest.mark.slow),
    ],
)
def test_killed_right_after_going_back_it_ends_with_the_same_bits(
    fooled: Make,
    net: MakeNet,
    digits: Digits,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changed: dict[str, Any],
    when: int,
) -> None:
    x, y, *_ = digits
    p = fooled(**changed)
    straight = train(p, net(), x, y, tmp_path / "a", progress=False)
    assert len(events_of(tmp_path / "a")) == 2
    back = Run._back

    def killed(self: Run, *args: Any) -> Any:  # noqa: ANN401
        state = back(self, *args)
        if len(state.events) == when:
            raise ZeroDivisionError
        return state

    monkeypatch.setattr(Run, "_back", killed)
    with pytest.raises(ZeroDivisionError):
        train(p, net(), x, y, tmp_path / "b", progress=False)
    monkeypatch.undo()
    torch.rand(5)
    resumed = train(p, net(), x, y, tmp_path / "b", progress=False)
    assert same(state_of(straight.model), state_of(resumed.model))
    assert [e.loss for e in straight.history] == [e.loss for e in resumed.history]
    assert events_of(tmp_path / "a") == events_of(tmp_path / "b")


def test_with_nothing_stronger_it_stops_and_keeps_the_last_good_epoch(
    fooled: Make, net: MakeNet, digits: Digits, tmp_path: Path
) -> None:
    x, y, *_ = digits
    model, kept = net(), {}

    def keep(row: Epoch) -> None:
        kept[row.epoch] = (row.robust, state_of(model))

    with pytest.raises(Diverged) as caught:
        train(fooled(attack=Mute()), model, x, y, tmp_path, progress=False, on_epoch=keep)
    assert "collapsed" in str(caught.value)
    assert "Mute(" in str(caught.value)
    assert "no stronger inner attack is known" in str(caught.value)
    card = json.loads((tmp_path / "model.json").read_text())
    assert card["status"] == "collapsed"
    (event,) = card["events"]
    assert (event["epoch"], event["stronger"], event["kept"]) == (2, "", 1)
    assert "smaller lr" in str(caught.value)
    assert kept
    from safetensors.torch import load_file

    best = max(kept, key=lambda e: (kept[e][0], e))
    assert same(load_file(tmp_path / "model.safetensors"), kept[best][1])


@dataclass(frozen=True)
class Mute(Idle):
    """Does nothing, and has too many steps already."""

    steps: int = 21

    def __call__(self, oracle: Gradients[ThreatModel], draw: Draw) -> None:
        oracle.value(oracle.threat.start(oracle.x))


def test_natural_training_never_collapses(
    fooled: Make, net: MakeNet, digits: Digits, tmp_path: Path
) -> None:
    x, y, *_ = digits
    trained = train(fooled(loss="natural"), net(), x, y, tmp_path, progress=False)
    assert trained.best.clean - trained.best.robust > 0.2
    assert {e.own for e in trained.history} == {None}
    assert events_of(tmp_path) == []


@pytest.mark.slow
def test_one_step_training_collapses_on_mnist_and_the_guard_saves_it(tmp_path: Path) -> None:
    """The failure of 2001.03994, §4.2: the net learns to beat the one step it meets only."""
    path = Path(os.environ.get("SADDLEPOINT_DATA", "/work/shared/data")) / "mnist.npz"
    if not path.exists():
        pytest.skip(f"needs {path}; set SADDLEPOINT_DATA to the folder of mnist.npz")
    with np.load(path) as data:
        x, y = data["x_train"][:4000, None], data["y_train"][:4000]
    last = {}
    for guard in (False, True):
        p = TrainPlan(
            arch="conv-small", shape=(1, 28, 28), classes=10, threat=Linf(eps=0.3),
            attack=PGD(steps=1, step_size=1.25), keep="last", check=PGD(steps=10), epochs=5,
            batch_size=32, lr=5e-3, held_out=300, guard=guard,
        )  # fmt: skip
        with torch.random.fork_rng():
            torch.manual_seed(0)
            net = build("conv-small", (1, 28, 28), 10)
        trained = train(p, net, x, y, tmp_path / str(guard), progress=False)
        last[guard] = trained.history[-1]
        assert events_of(tmp_path / str(guard))
    assert last[False].own is not None
    assert last[False].own - last[False].robust > 0.3
    assert last[True].robust > last[False].robust + 0.15
    assert events_of(tmp_path / "True")[0]["stronger"] == "PGD(steps=4, step_size=0.5)"


def test_l2_escalates_as_well() -> None:
    assert escalated(NFGSM(), L2(eps=1.0), 2) == PGD(steps=8, step_size=0.25)


def test_the_average_that_was_good_becomes_the_weights(
    fooled: Make, net: MakeNet, digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies under a good average may have begun to collapse already."""
    x, y, *_ = digits
    back, seen = Run._back, []

    def spy(self: Run, state: Any, to: Any) -> Any:  # noqa: ANN401
        good = dict(state.resume["ema"]) if state.history else {}
        state = back(self, state, to)
        now = state_of(self.learner.bare), state_of(self.learner.result)
        seen.append((*now, state.resume, good))
        return state

    monkeypatch.setattr(Run, "_back", spy)
    train(fooled(ema=0.5), net(), x, y, tmp_path, progress=False)
    assert seen
    assert any(good for *_, good in seen)
    for weights, average, resume, good in seen:
        assert same(weights, average)
        assert all(torch.equal(good[f"module.{k}"], average[k]) for k in average if good)
        assert same(dict(resume["model"]), weights)


def test_free_training_that_collapses_stops(
    net: MakeNet, plan: MakePlan, digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y, *_ = digits
    run = sys.modules[Run.__module__]
    monkeypatch.setattr(run, "measure", lambda *_: (0.9, 0.05, 0.8))
    with pytest.raises(Diverged, match=r"training attack Free\(replays=2\).*no stronger"):
        train(plan(loss=Free(replays=2)), net(), x, y, tmp_path, progress=False)
    assert json.loads((tmp_path / "model.json").read_text())["status"] == "collapsed"


def test_before_the_first_good_epoch_what_was_learnt_is_the_start(
    net: MakeNet, plan: MakePlan, digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y, *_ = digits
    seen = iter([(0.9, 0.05, 0.8)])
    run, real, began = sys.modules[Run.__module__], sys.modules[Run.__module__].measure, []
    monkeypatch.setattr(run, "measure", lambda *a: next(seen, None) or real(*a))
    back = Run._back

    def spy(self: Run, state: Any, to: Any) -> Any:  # noqa: ANN401
        learnt = state_of(self.learner.bare)
        state = back(self, state, to)
        began.append(same(learnt, state_of(self.learner.bare)))
        assert same(dict(state.resume["model"]), learnt)
        assert not self.learner.optimizer.state_dict()["state"]
        return state

    monkeypatch.setattr(Run, "_back", spy)
    trained = train(plan(epochs=2), net(), x, y, tmp_path, progress=False)
    assert began == [True]
    assert [e.kept for e in trained.events] == [0]
    assert [e.epoch for e in trained.history] == [1, 2]


def test_what_a_single_step_becomes_is_trained_on_at_its_worst_point(
    net: MakeNet, plan: MakePlan, digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y, *_ = digits
    seen, asked = iter([(0.9, 0.05, 0.8)]), []
    run, real = sys.modules[Run.__module__], sys.modules[Run.__module__].measure
    monkeypatch.setattr(run, "measure", lambda *a: next(seen, None) or real(*a))
    epoch = Learner.epoch

    def watched(self: Learner, number: int, inner: Inner, *rest: Any) -> float:  # noqa: ANN401
        asked.append((inner.attack, inner.keep))
        return epoch(self, number, inner, *rest)

    monkeypatch.setattr(Learner, "epoch", watched)
    train(plan(attack=FGSM(), epochs=1), net(), x, y, tmp_path, progress=False)
    (first, last), (then, worst) = asked
    assert (first, last, then, worst) == (FGSM(), "last", stronger(FGSM(), LINF), "worst")
