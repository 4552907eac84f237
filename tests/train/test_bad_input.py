"""Everything that cannot be trained is refused before the folder is touched."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from saddlepoint import FAB, FGSM, PGD, DeepFool, Linf, NoisyPGD, Restarts
from saddlepoint.core.errors import BadData, Invalid, Unsupported
from saddlepoint.train import (
    AWP,
    MART,
    NFGSM,
    TRADES,
    Diverged,
    Epoch,
    Free,
    Inner,
    Madry,
    Natural,
    as_robust_loss,
    train,
)
from tests.train.kit import Digits, MakeNet, MakePlan


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"epochs": 0}, "epochs = 0: must be a whole number"),
        ({"epochs": 1.5}, "epochs = 1.5"),
        ({"lr": 0.0}, "lr = 0.0: must be a finite number above 0"),
        ({"lr": float("nan")}, "lr = nan"),
        ({"batch_size": -1}, "batch_size = -1"),
        ({"momentum": 1.0}, "momentum = 1.0"),
        ({"held_out": 1.0}, "held_out = 1.0"),
        ({"held_out": 0}, "held_out = 0"),
        ({"seed": -1}, "seed = -1"),
        ({"shape": ()}, "shape = ()"),
        ({"classes": 1}, "classes = 1"),
        ({"optimizer": "adm"}, "did you mean adam"),
        ({"schedule": "cosin"}, "did you mean cosine"),
        ({"augment": "mixup"}, "augment = 'mixup'"),
        ({"augment": "flip-crop", "shape": (64,)}, "augment = 'flip-crop'"),
        ({"precision": "float16"}, "precision = 'float16'"),
        ({"loss": "mardy"}, "did you mean madry"),
        ({"loss": 3}, "loss = 3"),
        ({"threat": 0.3}, "threat = 0.3"),
        ({"threat": Linf(eps=torch.tensor([0.1, 0.2]))}, "one set for all samples"),
        ({"attack": "PGD"}, "attack = 'PGD'"),
        ({"check": 20}, "check = 20"),
        ({"keep": "best"}, "keep = 'best': must be one of 'auto', 'worst', 'last'"),
        ({"keep": None}, "keep = None"),
        ({"ema": 1.0}, "ema = 1.0: must be a decay in [0, 1)"),
        ({"ema": -0.1}, "ema = -0.1"),
        ({"ema": True}, "ema = True"),
        ({"ema": "0.9"}, "ema = '0.9'"),
        ({"eps_ramp": 1.5}, "eps_ramp = 1.5: must be a share of the run in [0, 1]"),
        ({"eps_ramp": -0.1}, "eps_ramp = -0.1"),
        ({"eps_ramp": float("nan")}, "eps_ramp = nan"),
        ({"guard": 1}, "guard = 1: must be True or False"),
        ({"guard": None}, "guard = None"),
        ({"check_n": 0}, "check_n = 0"),
        ({"loss": "trade"}, "did you mean trades"),
    ],
)
def test_the_plan_refuses(plan: MakePlan, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(Invalid) as caught:
        plan(**changed)
    assert said in str(caught.value)


def test_the_plan_refuses_an_attack_that_does_not_fit(plan: MakePlan) -> None:
    class Plain:
        start = sample = project = steepest = apply = contains = __getitem__ = print

    with pytest.raises(Unsupported, match="Convex"):
        plan(threat=Plain(), attack=FGSM())


class Rotation:
    """A set without a radius; never moved in."""

    start = sample = project = steepest = apply = contains = __getitem__ = print


def test_a_set_without_a_radius_does_not_grow(plan: MakePlan) -> None:
    assert plan(threat=Rotation(), attack=PGD(), check=PGD()).eps_ramp == 0
    with pytest.raises(Invalid, match=r"eps_ramp = 0\.5: must be 0 for .* has no radius"):
        plan(threat=Rotation(), attack=PGD(), check=PGD(), eps_ramp=0.5)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: TRADES(beta=0.0), "beta = 0.0"),
        (lambda: TRADES(beta=math.nan), "beta = nan"),
        (lambda: MART(beta=math.inf), "beta = inf"),
        (lambda: Free(replays=0), "replays = 0"),
        (lambda: Free(replays=2.0), "replays = 2.0"),  # type: ignore[arg-type]
        (lambda: Free(step_size=0.0), "step_size = 0.0"),
        (lambda: AWP(gamma=0.0), "gamma = 0.0"),
        (lambda: AWP(gamma=1.0), "gamma = 1.0"),
        (lambda: AWP(rows=0), "rows = 0"),
        (lambda: AWP(Free()), "loss = Free()"),
        (lambda: AWP("madry"), "loss = 'madry'"),  # type: ignore[arg-type]
        (lambda: NFGSM(noise=-1.0), "noise = -1.0"),
        (lambda: NFGSM(step_size=math.inf), "step_size = inf"),
        (lambda: Inner(Linf(eps=0.1), FGSM(), keep="best"), "keep = 'best'"),  # type: ignore[arg-type]
    ],
    ids=range(14),
)
def test_parts_of_a_plan_refuse(make: Callable[[], object], said: str) -> None:
    with pytest.raises(Invalid) as caught:
        make()
    assert said in str(caught.value)


def with_nan(x: NDArray[np.uint8]) -> NDArray[np.float64]:
    x = x / 255.0
    x[3, 0, 2, 2] = np.nan
    return x


@pytest.mark.parametrize(
    ("kind", "change", "said"),
    [
        (BadData, lambda x, y: (x, np.where(y == 9, 10, y)), r"labels from 0 to 10.*\[0, 9\]"),
        (BadData, lambda x, y: (x, y - 1), "labels from -1"),
        (BadData, lambda x, y: (x, np.zeros_like(y)), "only the class 0"),
        (BadData, lambda x, y: (x, y[:-1]), "1297 training samples but 1296 labels"),
        (BadData, lambda x, y: (x, y / 1.0), "whole numbers"),
        (BadData, lambda x, y: (with_nan(x), y), "holds NaN"),
        (BadData, lambda x, y: (x / 16.0, y), "values from 0 to 15.9"),
        (BadData, lambda x, y: (x.astype(np.int64), y), "dtype torch.int64"),
        (Invalid, lambda x, y: (x[:, :, :7], y), r"shape \(1, 7, 8\).*\(1, 8, 8\)"),
        (Invalid, lambda x, y: (x[:200], y[:200]), "batch_size = 256: must be at most 100"),
        (Invalid, lambda x, y: (x[:90], y[:90]), "held_out = 100"),
    ],
)
def test_data_that_cannot_be_trained_on_are_refused(
    plan: MakePlan,
    net: MakeNet,
    digits: Digits,
    tmp_path: Path,
    kind: type[Exception],
    change: Callable[..., tuple[Any, Any]],
    said: str,
) -> None:
    x, y = change(*digits[:2])
    with pytest.raises(kind, match=said):
        train(plan(), net(), x, y, tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(60, 10)), r"inputs \(B, 1, 8, 8\)"),
        (nn.Sequential(nn.Flatten(), nn.Linear(64, 7)), "classes = 10: must be 7"),
        (nn.Linear(8, 10), "logits of shape"),
        (nn.Flatten(), "trainable parameters"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(
    plan: MakePlan, digits: Digits, tmp_path: Path, model: nn.Module, said: str
) -> None:
    x, y, *_ = digits
    with pytest.raises(Invalid, match=said):
        train(
            plan(), model, np.where(x > 0, x, 0), np.minimum(y, 6), tmp_path / "o", progress=False
        )
    assert not (tmp_path / "o").exists()


def test_a_model_with_nan_weights_is_refused(
    plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path
) -> None:
    model = net()
    nn.init.constant_(model[1].weight, torch.nan)
    with pytest.raises(Invalid, match="logits are finite"):
        train(plan(), model, *digits[:2], tmp_path / "o", progress=False)


@pytest.mark.parametrize("device", ["quantum", "cuda:99", "meta", "mps"])
def test_a_device_that_is_not_there(
    plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path, device: str
) -> None:
    with pytest.raises(Invalid, match="device"):
        train(plan(), net(), *digits[:2], tmp_path, device=device, progress=False)


@pytest.mark.parametrize("kind", [Natural, Madry, TRADES])
def test_label_smoothing_has_a_range(kind: type[Natural | Madry | TRADES]) -> None:
    with pytest.raises(Invalid, match="label_smoothing"):
        kind(label_smoothing=1.0)
    assert repr(kind(label_smoothing=0.1)) == f"{kind.__name__}(label_smoothing=0.1)"
    assert as_robust_loss(kind.__name__.lower()) == kind()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"keep": "last", "attack": Restarts(PGD(steps=2), n=3)}, "has several ends"),
        ({"keep": "last", "attack": NoisyPGD()}, "whose first look would end it"),
        ({"keep": "last", "attack": FAB()}, "whose first look would end it"),
        ({"keep": "last", "attack": DeepFool()}, "whose first look would end it"),
        ({"loss": "trades", "attack": FGSM()}, "one with a random start for TRADES()"),
        ({"loss": AWP(TRADES()), "attack": PGD(steps=2, start="clean")}, "random start"),
    ],
    ids=range(6),
)
def test_parts_that_do_not_work_together(
    plan: MakePlan, changed: dict[str, Any], said: str
) -> None:
    with pytest.raises(Invalid) as caught:
        plan(**changed)
    assert said in str(caught.value)


def test_a_single_step_is_trained_on_where_it_ends(plan: MakePlan) -> None:
    for attack in (FGSM(), NFGSM(), PGD(steps=1, step_size=1.25)):
        assert plan(attack=attack).keeps() == "last"
    assert plan(attack=PGD(steps=2)).keeps() == "worst"
    assert plan(attack=FGSM()).keeps(PGD(steps=4)) == "worst"  # what the guard makes of it
    assert plan(attack=FGSM(), keep="last").keeps(PGD(steps=4)) == "last"
    assert plan(attack=PGD(steps=2), keep="last").keeps() == "last"


def test_a_constant_of_infinities_is_no_divergence(
    plan: MakePlan, digits: Digits, tmp_path: Path
) -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(64, 10)
            self.register_buffer("mask", torch.full((2, 2), -torch.inf).triu(1))
            self.register_buffer("mean", torch.zeros(1))

        def forward(self, x: Tensor) -> Tensor:
            if self.training and spoilt:
                self.mean.fill_(torch.nan)
            return self.layer(x.flatten(1))

    x, y, *_ = digits
    spoilt = False
    averaged = plan(epochs=1, ema=0.9)
    trained = train(averaged, Masked(), x, y, tmp_path / "a", progress=False)
    assert trained.model.mask.isinf().sum() == 1  # type: ignore[operator, union-attr]
    spoilt = True
    with pytest.raises(Diverged, match="weights are no longer finite"):
        train(plan(epochs=1), Masked(), x, y, tmp_path / "b", progress=False)


def test_a_model_of_another_type_is_refused(
    plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path
) -> None:
    with pytest.raises(Invalid, match=r"model = <weights in torch.float64>: must be .*float\(\)"):
        train(plan(), net().double(), *digits[:2], tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("kind", ["uint16", "uint32", ">i8", "int8"])
def test_labels_may_be_of_any_whole_type(
    kind: str, plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path
) -> None:
    x, y, *_ = digits
    p = plan(epochs=1)
    usual = train(p, net(), x, y, tmp_path / "usual", progress=False)
    other = train(p, net(), x, y.astype(kind), tmp_path / "other", progress=False)
    assert usual.history[0].loss == other.history[0].loss


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (lambda model, x, y, worst: 1.0, "it returned a float"),
        (lambda model, x, y, worst: model(x).amax(1), r"shape \(256,\)|shape \(24.,\)"),
        (lambda model, x, y, worst: model(x).detach().mean(), "does not depend on the weights"),
        (lambda model, x, y, worst: model(x).argmax(), "torch.int64 of shape"),
    ],
    ids=["number", "rows", "constant", "index"],
)
def test_an_objective_that_returns_no_loss_is_told_so(
    loss: Any,  # noqa: ANN401
    said: str,
    plan: MakePlan,
    net: MakeNet,
    digits: Digits,
    tmp_path: Path,
) -> None:
    with pytest.raises(Invalid, match=f"loss = .*must be an objective.*{said}"):
        train(plan(loss=loss), net(), *digits[:2], tmp_path, progress=False)


def test_words_are_no_samples(plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path) -> None:
    with pytest.raises(BadData, match="y_train holds <U1: must be numbers"):
        train(plan(), net(), digits[0], digits[1].astype("U1"), tmp_path, progress=False)


@pytest.mark.parametrize("other", ["wider", "frozen"])
def test_a_run_is_not_continued_with_another_model(
    other: str, plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path
) -> None:
    x, y, *_ = digits

    def stop(row: Epoch) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(plan(), net(), x, y, tmp_path, progress=False, on_epoch=stop)
    model = net()
    if other == "frozen":
        model[1].requires_grad_(False)  # type: ignore[index]
    else:
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    with pytest.raises(Invalid, match="model = <another model>: must be the model that"):
        train(plan(), model, x, y, tmp_path, progress=False)
    trained = train(plan(), net(), x, y, tmp_path, progress=False)
    assert len(trained.history) == 4
