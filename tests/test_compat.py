"""The calls of Foolbox and torchattacks give what ``search`` and ``nearest`` give."""

from collections import namedtuple
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint import compat
from saddlepoint.core.access import Attack
from saddlepoint.core.errors import Invalid

Bounds = namedtuple("Bounds", ("lower", "upper"))


@pytest.fixture(scope="module")
def subject() -> tuple[nn.Module, Tensor, Tensor]:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 24), nn.ReLU(), nn.Linear(24, 4)).eval()
    x = torch.rand(12, 1, 4, 4)
    return net, x, net(x).argmax(1)


class Wrapped:
    """A model as Foolbox has them: bounds of its own, normalisation inside."""

    bounds = Bounds(-1, 1)

    def __init__(self, net: nn.Module) -> None:
        self.net = net

    def __call__(self, x: Tensor) -> Tensor:
        out: Tensor = self.net((x + 1) / 2)
        return out


class Criterion:
    def __init__(self, **classes: Any) -> None:  # noqa: ANN401
        self.__dict__ |= classes


class Eager:
    """What eagerpy makes of a tensor, as far as it is looked at."""

    def __init__(self, raw: Tensor) -> None:
        self.raw = raw


def test_foolbox_one_radius_and_several(subject: tuple[nn.Module, Tensor, Tensor]) -> None:
    net, x, y = subject
    attack = compat.Called(sp.PGD(steps=5), sp.L2, seed=3)
    radii = [0.05, 0.2, 0.8]
    raw, clipped, is_adv = attack(net, x, y, epsilons=radii)
    assert is_adv.shape == (3, 12)
    assert 0 < is_adv.sum() < 36
    for k, eps in enumerate(radii):
        found = sp.search(sp.PGD(steps=5), net, x, y, sp.L2(eps), seed=3)
        assert torch.equal(raw[k], found.x_adv)
        assert torch.equal(clipped[k], found.x_adv)
        assert torch.equal(is_adv[k], found.broken)
    one = attack(net, x, y, epsilons=0.2)
    assert torch.equal(one[0], raw[1])
    assert torch.equal(one[2], is_adv[1])


@pytest.mark.parametrize(
    "several",
    [
        tuple,
        torch.tensor,
        lambda radii: torch.tensor(radii, dtype=torch.float64),
        np.array,
        lambda radii: (eps for eps in radii),
    ],
)
def test_foolbox_several_radii_in_any_form(
    several: Any,  # noqa: ANN401
    subject: tuple[nn.Module, Tensor, Tensor],
) -> None:
    """As many radii as inputs, which no radius for each input may be mistaken for."""
    net, x, y = subject
    attack, radii = compat.Called(sp.FGSM()), [0.25, 0.03125, 0.125]
    wanted = attack(net, x[:3], y[:3], epsilons=radii)[2]
    raw, _, is_adv = attack(net, x[:3], y[:3], epsilons=several(radii))
    assert len(raw) == 3
    assert torch.equal(is_adv, wanted)
    for scalar in (torch.tensor(0.125), np.float32(0.125), np.array(0.125)):
        assert torch.equal(attack(net, x[:3], y[:3], epsilons=scalar)[2], wanted[2])


@pytest.mark.parametrize("epsilons", [[], torch.rand(2, 2), "0.1", [0.1, "x"], object()])
def test_foolbox_radii_that_are_none(
    epsilons: Any,  # noqa: ANN401
    subject: tuple[nn.Module, Tensor, Tensor],
) -> None:
    net, x, y = subject
    with pytest.raises(Invalid, match="epsilons"):
        compat.Called(sp.FGSM())(net, x, y, epsilons=epsilons)


def test_foolbox_bounds_are_the_input_range(subject: tuple[nn.Module, Tensor, Tensor]) -> None:
    net, x, y = subject
    model, wide = Wrapped(net), 2 * x - 1
    raw, _, is_adv = compat.Called(sp.FGSM())(model, wide, y, epsilons=0.4)
    found = sp.search(sp.FGSM(), model, wide, y, sp.Linf(0.4, box=(-1, 1)))
    assert torch.equal(raw, found.x_adv)
    assert torch.equal(is_adv, found.broken)
    assert raw.min() < 0


@pytest.mark.parametrize("norm", [sp.Linf, sp.L2, sp.L1])
def test_foolbox_without_a_radius_is_nearest(
    norm: Any,  # noqa: ANN401
    subject: tuple[nn.Module, Tensor, Tensor],
) -> None:
    net, x, y = subject
    attack = sp.FMN(steps=10)
    raw, _, is_adv = compat.Called(attack, norm)(net, x, y, epsilons=None)
    widest = {sp.Linf: 1.0, sp.L2: 4.0, sp.L1: 16.0}[norm]
    found = sp.nearest(attack, net, x, y, norm(widest))
    assert torch.equal(raw, found.x_adv)
    assert torch.equal(is_adv, found.size.isfinite())
    assert is_adv.any()


def test_foolbox_criteria(subject: tuple[nn.Module, Tensor, Tensor]) -> None:
    net, x, y = subject
    attack, wanted = compat.Called(sp.PGD(steps=5)), (y + 1) % 4
    plain = attack(net, x, y, epsilons=0.1)
    assert torch.equal(attack(net, x, Criterion(labels=Eager(y)), epsilons=0.1)[0], plain[0])
    aimed = attack(net, x, Criterion(target_classes=Eager(wanted)), epsilons=0.3)
    found = sp.search(sp.PGD(steps=5), net, x, sp.Targeted(wanted), sp.Linf(0.3))
    assert torch.equal(aimed[0], found.x_adv)
    assert aimed[2].any()
    with pytest.raises(Invalid, match="criterion = 'int'"):
        attack(net, x, 3, epsilons=0.1)


@pytest.mark.parametrize(
    ("called", "attack", "threat", "seed"),
    [
        (lambda m: compat.FGSM(m, eps=0.1), sp.FGSM(), sp.Linf(0.1), 0),
        (
            lambda m: compat.PGD(m, eps=0.2, alpha=0.05, steps=7),
            sp.PGD(steps=7, step_size=0.25),
            sp.Linf(0.2),
            0,
        ),
        (
            lambda m: compat.PGDL2(m, eps=0.5, alpha=0.25, steps=4, random_start=False),
            sp.PGD(steps=4, step_size=0.5, start="clean"),
            sp.L2(0.5),
            0,
        ),
        (
            lambda m: compat.APGD(m, "L2", eps=0.5, steps=8, n_restarts=2, seed=4, loss="dlr"),
            sp.Restarts(sp.APGD(steps=8, loss="dlr"), n=2),
            sp.L2(0.5),
            4,
        ),
        (
            lambda m: compat.Square(m, eps=0.1, n_queries=30, seed=1),
            sp.Square(n_queries=30),
            sp.Linf(0.1),
            1,
        ),
    ],
)
def test_torchattacks(
    called: Any,  # noqa: ANN401
    attack: Attack[Any],
    threat: Any,  # noqa: ANN401
    seed: int,
    subject: tuple[nn.Module, Tensor, Tensor],
) -> None:
    net, x, y = subject
    found = sp.search(attack, net, x, y, threat, seed=seed)
    assert torch.equal(called(net)(x, y), found.x_adv)
    assert found.broken.any()


def test_torchattacks_targets_and_refusals(subject: tuple[nn.Module, Tensor, Tensor]) -> None:
    net, x, y = subject
    atk, wanted = compat.PGD(net, eps=0.3, alpha=0.05), (y + 1) % 4
    goal, attack = sp.Targeted(wanted), sp.PGD(steps=10, step_size=0.05 / 0.3)
    found = sp.search(attack, net, x, goal, sp.Linf(0.3))
    assert torch.equal(replace(atk, targeted=True)(x, wanted), found.x_adv)
    assert torch.equal(compat.PGD(net, eps=0.0)(x, y), x)
    with pytest.raises(Invalid, match="loss = 'cw'"):
        compat.APGD(net, loss="cw")
    with pytest.raises(Invalid, match="norm = 'L7'"):
        compat.Square(net, norm="L7")
