"""Low-precision search: a break counts only when the original model agrees."""

import math

import pytest
import torch
from torch import Tensor, nn

from saddlepoint import APGD, PGD, FrankWolfe, Status, Untargeted, search
from tests.laws.models import SHAPE, BF16Differs, alone, problem
from tests.table import ATTACKS, THREATS, AttackRow

ATTACK = pytest.mark.parametrize("attack", ATTACKS, ids=lambda r: r.name)
LINF = THREATS[0]
EARLY = pytest.mark.parametrize("early_stop", [True, False])


@ATTACK
@EARLY
def test_every_break_is_confirmed_by_the_original(attack: AttackRow, early_stop: bool) -> None:
    net, x, y, threat = problem(LINF, dtype=torch.float32)
    found = search(attack.small, net, x, y, threat, precision="bfloat16", early_stop=early_stop)
    true = alone(net, found.x_adv, Untargeted(y))
    assert [s is Status.BROKEN for s in found.status] == (true > 0).tolist()
    torch.testing.assert_close(found.margin, true, rtol=1e-5, atol=1e-5)
    assert bool((found.margin >= found.clean_margin - 1e-6).all())


def sums(offset: float) -> object:
    def model(v: Tensor) -> Tensor:
        s = v.flatten(1).sum(1)
        return torch.stack([torch.zeros_like(s) - offset, s * 0.01], 1)

    return model


@EARLY
def test_breaks_in_low_precision_alone_do_not_count(early_stop: bool) -> None:
    model = BF16Differs(usual=sums(-50), low=sums(50))  # type: ignore[arg-type]
    x, y = torch.rand(3, *SHAPE), torch.zeros(3, dtype=torch.int64)
    found = search(
        PGD(steps=3), model, x, y, LINF.make(3), precision="bfloat16", early_stop=early_stop
    )
    assert found.status == (Status.SURVIVED,) * 3
    assert bool((found.margin < 0).all())


def test_a_confirmed_break_stays_one() -> None:
    """Pushing on after a break, low precision may prefer a point that breaks nothing."""

    def usual(v: Tensor) -> Tensor:
        near = 0.015 - (v - 0.52).abs().flatten(1).amax(1)  # > 0 only near 0.52
        return torch.stack([torch.zeros_like(near), near], 1)

    def low(v: Tensor) -> Tensor:
        s = v.flatten(1).sum(1) - 6
        return torch.stack([torch.zeros_like(s), s], 1)

    def attack(oracle, draw) -> None:  # noqa: ANN001
        for size in (0.02, 0.09):
            oracle.value(torch.full_like(oracle.x, size))

    x, y = torch.full((2, *SHAPE), 0.5), torch.zeros(2, dtype=torch.int64)
    found = search(
        attack, BF16Differs(usual, low), x, y, LINF.make(2), precision="bfloat16", early_stop=False
    )
    assert found.status == (Status.BROKEN,) * 2
    assert bool((found.margin > 0).all())


def test_holes_in_the_original_are_errors_too() -> None:
    def usual(v: Tensor) -> Tensor:
        moved = (v - 0.5).flatten(1).abs().amax(1, keepdim=True) > 0
        out = torch.stack([v.new_ones(len(v)), v.new_zeros(len(v))], 1)
        return torch.where(moved, out * math.nan, out)

    model = BF16Differs(usual, sums(50))  # type: ignore[arg-type]
    x, y = torch.full((2, *SHAPE), 0.5), torch.zeros(2, dtype=torch.int64)
    found = search(PGD(steps=2), model, x, y, LINF.make(2), precision="bfloat16")
    assert found.status == (Status.ERROR,) * 2


@pytest.mark.parametrize("attack", [PGD(steps=10), APGD(steps=10), FrankWolfe()], ids=str)
def test_low_precision_search_is_about_as_strong(attack: object) -> None:
    net, x, y, threat = problem(LINF, dtype=torch.float32)
    options = {"early_stop": False, "loss": "margin"}
    full = search(attack, net, x, y, threat, **options)  # type: ignore[arg-type]
    low = search(attack, net, x, y, threat, precision="bfloat16", **options)  # type: ignore[arg-type]
    gain = (low.margin - low.clean_margin) / (full.margin - full.clean_margin)
    assert float(gain.min()) > 0.9


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_models_do_not_round_the_inputs(dtype: torch.dtype) -> None:
    """x_adv is judged against the caller's x: casting it to bfloat16 would move it by 0.2 %."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 3)).to(dtype)
    x, y = LINF.inputs(4, SHAPE, 5, torch.float32), torch.zeros(4, dtype=torch.int64)
    found = search(PGD(steps=3), net, x, y, LINF.make(4), early_stop=False)
    assert LINF.excess(x, found.x_adv).max() <= 2e-6


def test_close_calls_are_decided_alone() -> None:
    """A kernel whose sums depend on the batch: the verdict must be the one of a replay."""

    class Wobbly(nn.Module):
        def forward(self, v: Tensor) -> Tensor:
            s = v.flatten(1).sum(1) - 6.0
            tip = 1e-5 if len(v) > 1 else -1e-5
            return torch.stack([torch.full_like(s, 10.0), 10.0 + 0 * s + tip], 1)

    x, y = torch.full((3, *SHAPE), 0.5), torch.zeros(3, dtype=torch.int64)
    found = search(PGD(steps=2), Wobbly(), x, y, LINF.make(3))
    assert found.status == (Status.SURVIVED,) * 3
