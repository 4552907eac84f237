"""The radius grows with the steps, and with nothing else."""

from pathlib import Path
from typing import Any

import pytest
from torch import Tensor, nn

from saddlepoint import L2, Linf, Quantize
from saddlepoint.core.draw import Draw
from saddlepoint.core.threat import ThreatModel
from saddlepoint.train import Free, Madry, RobustLoss, Worst, train
from tests.train.kit import Digits, MakeNet, MakePlan

TOTAL = 20  # four epochs of five steps


class Watch:
    """An objective that notes the radius it is given; ``replays`` as that of Free."""

    def __init__(self, loss: RobustLoss) -> None:
        self.loss, self.replays = loss, getattr(loss, "replays", 1)
        self.seen: list[float] = []

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor, worst: Worst) -> Tensor:
        self.seen.append(worst.threat.eps)  # type: ignore[attr-defined]
        return self.loss(model, x, y, worst)


def radius(eps: float, ramp: float, total: int) -> list[float]:
    return [eps * min(1.0, (k + 1) / (ramp * total)) if ramp else eps for k in range(total)]


@pytest.mark.parametrize(
    ("threat", "ramp"),
    [
        *[(Linf(eps=0.1), ramp) for ramp in (0.0, 0.01, 0.33, 0.5, 1)],
        (L2(eps=0.7), 0.5),
        (Quantize(Linf(eps=16 / 255)), 1.0),
    ],
    ids=str,
)
def test_the_radius_of_every_step(
    plan: MakePlan,
    net: MakeNet,
    digits: Digits,
    tmp_path: Path,
    threat: Any,  # noqa: ANN401
    ramp: float,
) -> None:
    x, y, *_ = digits
    watch = Watch(Madry())
    p = plan(loss=watch, threat=threat, eps_ramp=ramp)
    train(p, net(), x, y, tmp_path, progress=False)
    assert watch.seen == pytest.approx(radius(threat.eps, ramp, TOTAL), rel=1e-12)
    assert watch.seen[-1] == threat.eps


def test_replays_are_steps_of_the_ramp(
    plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path
) -> None:
    x, y, *_ = digits
    watch = Watch(Free(replays=2))
    train(plan(loss=watch, eps_ramp=0.5, epochs=2), net(), x, y, tmp_path, progress=False)
    assert watch.seen == pytest.approx(radius(0.1, 0.5, 20))


def test_the_attack_moves_in_the_smaller_set_and_the_checks_in_the_whole(
    plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path
) -> None:
    x, y, *_ = digits
    training: list[ThreatModel] = []
    checks: list[ThreatModel] = []

    def attack(oracle: Any, draw: Draw) -> None:  # noqa: ANN401
        training.append(oracle.threat)
        oracle.value(oracle.threat.start(oracle.x) + oracle.threat.eps)

    def check(oracle: Any, draw: Draw) -> None:  # noqa: ANN401
        checks.append(oracle.threat)

    sizes: list[float] = []

    def loss(model: nn.Module, x: Tensor, y: Tensor, worst: Worst) -> Tensor:
        x_adv = worst(model, x, y)
        sizes.append(float((x_adv - x).max()))
        return nn.functional.cross_entropy(model(x_adv), y)

    p = plan(loss=loss, attack=attack, check=check, eps_ramp=0.8, guard=False, epochs=1)
    train(p, net(), x, y, tmp_path, progress=False)
    expected = radius(0.1, 0.8, 5)
    assert sizes == pytest.approx(expected, rel=1e-5)
    assert [t.eps for t in training[:5]] == pytest.approx(expected)  # type: ignore[attr-defined]
    assert training[5:]  # the same attack, on held-out samples
    assert {t.eps for t in (*training[5:], *checks)} == {0.1}  # type: ignore[attr-defined]


def test_a_ramp_is_resumed_where_it_was(
    plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path
) -> None:
    x, y, *_ = digits
    seen: list[float] = []

    def loss(model: nn.Module, x: Tensor, y: Tensor, worst: Worst) -> Tensor:
        seen.append(worst.threat.eps)  # type: ignore[attr-defined]
        return Madry()(model, x, y, worst)

    def stop(row: Any) -> None:  # noqa: ANN401
        if row.epoch == 2:
            raise ZeroDivisionError

    p = plan(loss=loss, eps_ramp=0.9)
    with pytest.raises(ZeroDivisionError):
        train(p, net(), x, y, tmp_path, progress=False, on_epoch=stop)
    assert len(seen) == 10
    train(p, net(), x, y, tmp_path, progress=False)
    assert seen == pytest.approx(radius(0.1, 0.9, TOTAL))
