"""Eight-bit witnesses: on the grid, inside the set, and honest gradients."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from saddlepoint import L1, L2, PGD, Linf, Patch, Quantize, search
from saddlepoint.core.errors import Invalid
from tests.laws.cases import cases
from tests.laws.models import problem
from tests.table import ATTACKS, THREATS, AttackRow, ThreatRow

GRID = [r for r in THREATS if r.quantized]
EVERY = pytest.mark.parametrize("row", GRID, ids=lambda r: r.name)


def on_the_grid(moved: torch.Tensor) -> bool:
    """Saved as uint8 and loaded again, not a bit changes."""
    stored = (moved * 255).round().to(torch.uint8)
    return torch.equal(stored.to(torch.float32) / 255, moved)


@EVERY
@given(data=st.data())
def test_applied_members_are_on_the_grid_and_inside(row: ThreatRow, data: st.DataObject) -> None:
    c = data.draw(cases(row, (torch.float32,)))
    for u in c.members():
        moved = c.threat.apply(c.x, u)
        assert on_the_grid(moved)
        assert row.excess(c.x, moved).max() <= 1e-6


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda r: r.name)
@EVERY
def test_found_inputs_survive_being_saved(attack: AttackRow, row: ThreatRow) -> None:
    net, x, y, threat = problem(row, dtype=torch.float32)
    found = search(attack.small, net, x, y, threat, early_stop=False)
    assert on_the_grid(found.x_adv)
    assert row.excess(x, found.x_adv).max() <= 1e-6


@EVERY
def test_rounding_is_towards_x_and_loses_less_than_a_step(row: ThreatRow) -> None:
    x = torch.full((1, 511), 128 / 255)
    u = torch.linspace(-0.03, 0.03, 511)[None]
    moved = row.make(1).apply(x, u) - x
    assert bool((moved.abs() <= u.abs() + 1e-6).all())
    assert bool((moved * u >= 0).all())
    assert float((moved - u).abs().max()) < 1 / 255 + 1e-6


@pytest.mark.parametrize("steps", range(1, 256, 6))
def test_whole_steps_are_kept_whole(steps: int) -> None:
    for start in (0, 255 - steps):
        x, u = torch.tensor([[start / 255]]), torch.tensor([[steps / 255]])
        moved = Quantize(Linf(eps=1.0)).apply(x, u)
        assert (moved * 255).round().item() == start + steps


@pytest.mark.parametrize("eps", [0.03137, 0.0156862, 0.0039, 8 / 255, 0.0314])
def test_a_radius_just_below_a_step_is_not_rounded_up(eps: float) -> None:
    """0.03137 is a little less than 8/255: seven steps fit, eight do not."""
    threat, x = Quantize(Linf(eps=eps)), torch.full((1, 4), 100 / 255)
    u = threat.maximise(x, torch.ones_like(x))
    assert float((threat.apply(x, u) - x).double().abs().max()) <= eps * (1 + 1e-6) + 1e-7
    assert bool(threat.contains(x, u, 1e-6).all())


def test_small_excesses_do_not_add_up() -> None:
    """Just under one step in each of 3072 coordinates is a member; rounded up it would not be."""
    x = torch.full((1, 3072), 100 / 255)
    u = torch.full((1, 3072), (1 - 9e-4) / 255)
    ball = L1(eps=float(u.double().sum()))
    assert bool(ball.contains(x, u, 1e-6).all())
    assert bool(Quantize(ball).contains(x, u, 1e-4).all())


@EVERY
def test_the_gradient_passes_straight_through(row: ThreatRow) -> None:
    x = row.inputs(2, (5,), 3, torch.float32)
    u = row.make(2).project(x, torch.full_like(x, 0.01)).requires_grad_()
    w = torch.linspace(-1, 1, 10).view(2, 5)
    (g,) = torch.autograd.grad((row.make(2).apply(x, u) * w).sum(), u)
    assert torch.equal(g, w)


@pytest.mark.parametrize("off", [0.3 / 255, 0.01 / 255])
@EVERY
def test_inputs_off_the_grid_are_refused(row: ThreatRow, off: float) -> None:
    net, x, y, threat = problem(row, dtype=torch.float32)
    x[3, 0, 1, 2] = 7 / 255 + off
    with pytest.raises(Invalid, match="multiples of 1/255"):
        search(PGD(), net, x, y, threat)


@EVERY
def test_contains_rejects_inputs_off_the_grid(row: ThreatRow) -> None:
    x = row.inputs(2, (5,), 3, torch.float32)
    x[1, 2] = 7.4 / 255
    zero = torch.zeros_like(x)
    inner = row.make(2).threat  # type: ignore[attr-defined]
    assert inner.contains(x, zero, 1e-6).tolist() == [True, True]
    assert row.make(2).contains(x, zero, 1e-6)[0]


def test_all_uint8_images_are_on_the_grid() -> None:
    x = (np.arange(256, dtype=np.uint8).reshape(1, 16, 16)).astype(np.float32) / 255
    threat = Quantize(L2(eps=1.0))
    t = torch.from_numpy(x)
    assert torch.equal(threat.apply(t, threat.start(t)), t)


@pytest.mark.parametrize("box", [(-1.0, 1.0), (0.0, 255.0), (-math.inf, math.inf)])
def test_other_boxes_have_no_eight_bit_grid(box: tuple[float, float]) -> None:
    with pytest.raises(Invalid, match="8-bit"):
        Quantize(Linf(eps=0.1, box=box))


def test_unknown_grids_are_refused() -> None:
    with pytest.raises(Invalid, match="uint8"):
        Quantize(Linf(eps=0.1), to_type="uint4")


def test_a_set_whose_parameters_are_no_change_is_refused() -> None:
    with pytest.raises(Invalid, match="change itself"):
        Quantize(Patch(size=2, at=(0, 0)))
