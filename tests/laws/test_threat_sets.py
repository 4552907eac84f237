"""Laws of membership: what is in the set, what is not, and what a sub-batch is."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from saddlepoint.core.draw import Draw
from saddlepoint.core.shapes import norm
from saddlepoint.core.threat import Convex, Graded, ThreatModel
from tests.laws.cases import B, cases
from tests.table import THREATS, ThreatRow

EVERY = pytest.mark.parametrize("row", THREATS, ids=lambda r: r.name)
TOL = 1e-6


@EVERY
def test_has_every_verb(row: ThreatRow) -> None:
    threat = row.make(B)
    assert isinstance(threat, ThreatModel)
    assert isinstance(threat, Convex)
    assert isinstance(threat, Graded)


@EVERY
@given(data=st.data())
def test_members_are_contained(row: ThreatRow, data: st.DataObject) -> None:
    c = data.draw(cases(row))
    width = max(1.0, min(row.box[1] - row.box[0], 1e3))
    for u in c.members():
        assert u.dtype == c.x.dtype
        assert u.shape == c.x.shape
        assert bool(c.threat.contains(c.x, u, TOL).all())
        moved = c.threat.apply(c.x, u)
        assert row.excess(c.x, moved).max() <= 2e-6 * max(row.eps, width)


@pytest.mark.parametrize("row", [r for r in THREATS if r.box == (0.0, 1.0)], ids=lambda r: r.name)
@given(data=st.data())
def test_members_never_leave_the_unit_box_by_rounding(row: ThreatRow, data: st.DataObject) -> None:
    c = data.draw(cases(row))
    t = c.threat
    for u in (
        t.sample(c.x, c.draw()),
        t.project(c.x, c.tensor("u")),
        t.maximise(c.x, c.gradient()),
    ):
        moved = t.apply(c.x, u)
        assert float(moved.min()) >= 0.0
        assert float(moved.max()) <= 1.0


@EVERY
@given(data=st.data())
def test_start_changes_nothing(row: ThreatRow, data: st.DataObject) -> None:
    c = data.draw(cases(row, (torch.float32,)))
    assert torch.equal(c.threat.apply(c.x, c.threat.start(c.x)), c.x)
    tol = 0.0 if row.box == (0.0, 1.0) and not row.quantized else TOL
    assert bool(c.threat.contains(c.x, c.threat.start(c.x), tol).all())


@EVERY
@given(data=st.data())
def test_contains_rejects_what_lies_outside(row: ThreatRow, data: st.DataObject) -> None:
    """A point a little longer than the radius is out, judged without the box in the way."""
    c = data.draw(cases(row))
    step = c.threat.steepest(c.x, c.threat.start(c.x), c.tensor("dense").abs() + 0.1)
    free = torch.full_like(c.x, 100 / 255 if row.quantized else sum(row.box) / 2)
    if not bool(torch.isfinite(free).all()):
        free = torch.zeros_like(c.x)
    grow = 1.5 if row.quantized else 1 + 1e-4
    long = c.threat.maximise(free, step + 1e-3) * grow + (0.01 if row.quantized else 1e-5)
    assert not bool(c.threat.contains(free, long, TOL).any())


@pytest.mark.parametrize(
    "row", [r for r in THREATS if math.isfinite(r.box[1])], ids=lambda r: r.name
)
@pytest.mark.parametrize("side", [0, 1])
def test_contains_rejects_what_leaves_the_box(row: ThreatRow, side: int) -> None:
    threat = row.make(B)
    x = row.inputs(B, (6,), 3, torch.float32)
    x[:, 2] = row.box[side]
    u = torch.zeros_like(x)
    u[:, 2] = (1 if side else -1) * (0.02 if row.quantized else 1e-4) * (row.box[1] - row.box[0])
    assert not bool(threat.contains(x, u, TOL).any())


@EVERY
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_contains_rejects_what_is_not_finite(row: ThreatRow, bad: float) -> None:
    threat = row.make(B)
    x = row.inputs(B, (6,), 3, torch.float32)
    u = torch.zeros_like(x)
    u[1, 2] = bad
    assert threat.contains(x, u, TOL).tolist() == [True, False, True]


@EVERY
def test_contains_never_projects(row: ThreatRow, monkeypatch: pytest.MonkeyPatch) -> None:
    x = row.inputs(B, (6,), 3, torch.float32)
    threat = row.make(B)
    u = threat.sample(x, Draw.of(0, torch.arange(B)))

    def refuse(*_: object) -> None:
        raise AssertionError

    for verb in ("project", "_clip", "maximise"):
        monkeypatch.setattr(row.ball, verb, refuse)
    assert bool(threat.contains(x, u, TOL).all())


@EVERY
@given(data=st.data())
def test_indexing_commutes_with_every_verb(row: ThreatRow, data: st.DataObject) -> None:
    c = data.draw(cases(row))
    keep = torch.tensor(data.draw(st.sampled_from([[1], [2, 0], [0, 1, 2], [2, 2, 1]])))
    t, part, x, u, g = c.threat, c.threat[keep], c.x, c.tensor("u", c.reach), c.gradient()
    u = t.project(x, u)
    pairs = (
        (t.start(x), part.start(x[keep])),
        (t.sample(x, c.draw()), part.sample(x[keep], c.draw()[keep])),
        (t.project(x, 3 * u), part.project(x[keep], 3 * u[keep])),
        (t.steepest(x, u, g), part.steepest(x[keep], u[keep], g[keep])),
        (t.maximise(x, g), part.maximise(x[keep], g[keep])),
        (t.apply(x, u), part.apply(x[keep], u[keep])),
    )
    for whole, sub in pairs:
        torch.testing.assert_close(whole[keep], sub, rtol=1e-6, atol=1e-6 * c.reach)
    inside = t.contains(x, 1.2 * u, TOL)
    assert torch.equal(inside[keep], part.contains(x[keep], 1.2 * u[keep], TOL))
    assert type(part) is type(t)


@EVERY
@given(data=st.data())
def test_a_row_does_not_depend_on_its_neighbours(row: ThreatRow, data: st.DataObject) -> None:
    """Alone is the hardest sub-batch: nothing of another row can leak in."""
    c = data.draw(cases(row, (torch.float64,)))
    x, u, g = c.x, c.tensor("u", 3 * c.reach), c.gradient()
    for verb in ("project", "maximise"):
        arg = u if verb == "project" else g
        whole = getattr(c.threat, verb)(x, arg)
        for i in range(B):
            one = torch.tensor([i])
            alone = getattr(c.threat[one], verb)(x[one], arg[one])
            torch.testing.assert_close(whole[one], alone, rtol=1e-9, atol=1e-9 * c.reach)


@EVERY
@given(data=st.data())
def test_size_and_at_agree_with_contains(row: ThreatRow, data: st.DataObject) -> None:
    c = data.draw(cases(row))
    u = c.threat.project(c.x, c.tensor("u", c.reach))
    size = c.threat.size(c.x, u)
    flat = u.reshape(B, -1).double().numpy()
    wanted = np.linalg.norm(flat, row.order, axis=1)
    np.testing.assert_allclose(size.double().numpy(), wanted, rtol=1e-5, atol=1e-6)
    at = c.threat.at(size)
    assert type(at) is type(c.threat)
    assert bool(at.contains(c.x, u, 3e-6).all())
    if not row.quantized:
        smaller = c.threat.at(size * 0.99)
        assert bool((~smaller.contains(c.x, u, TOL) | (size <= 1e-4)).all())
    assert bool((norm(u, row.order) <= row.radii(B) * (1 + TOL) + TOL).all())


@EVERY
def test_moving_to_a_device_keeps_the_set(row: ThreatRow) -> None:
    threat = row.make(B)
    moved = threat.to(torch.device("cpu"))
    assert type(moved) is type(threat)
    assert repr(moved) == repr(threat)
