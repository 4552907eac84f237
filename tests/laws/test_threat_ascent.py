"""Laws of ascent: maximise is the best member, steepest climbs, neither minds the scale of g."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from saddlepoint.core.shapes import dot, norm
from tests.laws.cases import B, cases
from tests.table import THREATS, ThreatRow

EVERY = pytest.mark.parametrize("row", THREATS, ids=lambda r: r.name)
FREE = [r for r in THREATS if math.isinf(r.box[1])]


@EVERY
@given(data=st.data())
def test_maximise_is_at_least_every_member(row: ThreatRow, data: st.DataObject) -> None:
    c = data.draw(cases(row))
    g = c.gradient()
    best = dot(g.double(), c.threat.maximise(c.x, g).double())
    slack = 3e-6 * c.reach * norm(g.double(), row.dual) + 1e-12
    for z in [*c.members(), c.threat.maximise(c.x, c.tensor("other"))]:
        assert bool((dot(g.double(), z.double()) <= best + slack).all())
    climbed = c.threat.start(c.x)
    for _ in range(20):
        climbed = c.threat.project(c.x, climbed + 2 * c.threat.steepest(c.x, climbed, g))
    assert bool((dot(g.double(), climbed.double()) <= best + slack).all())


@pytest.mark.parametrize("row", FREE, ids=lambda r: r.name)
@given(data=st.data())
def test_maximise_without_a_box_is_radius_times_dual_norm(
    row: ThreatRow, data: st.DataObject
) -> None:
    c = data.draw(cases(row))
    g = c.gradient()
    got = dot(g, c.threat.maximise(c.x, g)).double()
    torch.testing.assert_close(got, row.radii(B) * norm(g.double(), row.dual), rtol=1e-5, atol=1e-7)


@EVERY
@given(data=st.data(), scale=st.sampled_from([1e-30, 1e-12, 1e12, 1e30]))
def test_the_scale_of_the_gradient_does_not_matter(
    row: ThreatRow, data: st.DataObject, scale: float
) -> None:
    c = data.draw(cases(row))
    # A power of two near the scale changes no mantissa.
    exact = 2.0 ** round(math.log2(scale))
    g = c.tensor("g")
    u = c.threat.sample(c.x, c.draw())
    pairs = (
        (c.threat.steepest(c.x, u, g * exact), c.threat.steepest(c.x, u, g)),
        (c.threat.maximise(c.x, g * exact), c.threat.maximise(c.x, g)),
    )
    for got, want in pairs:
        assert bool(got.isfinite().all())
        torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-6 * c.reach)


@EVERY
@given(data=st.data())
def test_steepest_climbs_after_projection(row: ThreatRow, data: st.DataObject) -> None:
    c = data.draw(cases(row))
    g = c.gradient()
    for u in c.members():
        d = c.threat.steepest(c.x, u, g)
        for t in (0.01, 0.1, 0.5, 2.0):
            moved = c.threat.project(c.x, u + t * d)
            gain = dot(g.double(), (moved - u).double())
            slack = 5e-6 * c.reach * norm(g.double(), row.dual)
            assert bool((gain >= -slack - 1e-12).all())


@EVERY
@given(data=st.data())
def test_steepest_is_one_radius_long(row: ThreatRow, data: st.DataObject) -> None:
    """Wherever a move helps at all; where none does it may stay."""
    c = data.draw(cases(row))
    g = c.gradient()
    for u in c.members()[:4]:
        size = norm(c.threat.steepest(c.x, u, g).double(), row.order)
        best = dot(g.double(), (c.threat.maximise(c.x, g) - u).double())
        stuck = best <= 1e-5 * c.reach * norm(g.double(), row.dual)
        right = (size - row.radii(B)).abs() <= 1e-5 * row.eps + 1e-7
        assert bool((right | (stuck & (size <= 1e-7))).all())


@EVERY
@given(data=st.data())
def test_steepest_leads_to_the_maximum(row: ThreatRow, data: st.DataObject) -> None:
    """Project-and-step reaches the best member from anywhere: no point of the set is a trap."""
    c = data.draw(cases(row, (torch.float64,)))
    g = c.gradient()
    best = dot(g, c.threat.maximise(c.x, g))
    u = c.threat.sample(c.x, c.draw())
    for k in range(40):
        length = 0.02 + 0.99 * (1 + math.cos(math.pi * k / 40))
        u = c.threat.project(c.x, u + length * c.threat.steepest(c.x, u, g))
    assert bool((dot(g, u) >= 0.98 * best - 1e-9).all())


@EVERY
def test_a_zero_gradient_moves_nothing(row: ThreatRow) -> None:
    x = row.inputs(B, (3, 4), 1, torch.float32)
    threat, zero = row.make(B), torch.zeros(B, 3, 4)
    assert torch.equal(threat.steepest(x, zero, zero), zero)
    assert torch.equal(threat.maximise(x, zero).abs(), zero)


@EVERY
@pytest.mark.parametrize("side", [0, 1])
def test_x_on_the_box_moves_inwards_only(row: ThreatRow, side: int) -> None:
    x = torch.full((B, 6), row.box[side] if math.isfinite(row.box[1]) else 0.0)
    threat = row.make(B)
    outward = torch.full_like(x, 1.0 if side else -1.0)
    out, inward = threat.maximise(x, outward), threat.maximise(x, -outward)
    if math.isfinite(row.box[1]):
        assert torch.equal(out.abs(), torch.zeros_like(x))
    wanted = row.radii(B).float()
    torch.testing.assert_close(norm(inward, row.order), wanted, rtol=1e-5, atol=1e-7)
