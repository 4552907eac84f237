"""Laws of projection: idempotent, nearest, and equal to slow references."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize
from torch import Tensor

from saddlepoint.core.shapes import dot, norm
from tests.laws.cases import B, Case, cases
from tests.table import THREATS, ThreatRow

EVERY = pytest.mark.parametrize("row", THREATS, ids=lambda r: r.name)
CUT = [r for r in THREATS if r.order in (1.0, 2.0) and not r.quantized]


def floats(t: Tensor) -> np.ndarray:
    return t.reshape(len(t), -1).double().numpy()


@EVERY
@given(data=st.data(), size=st.sampled_from([0.01, 0.5, 1.0, 3.0, 30.0, 1000.0]))
def test_projection_is_nearest(row: ThreatRow, data: st.DataObject, size: float) -> None:
    """<u - p, z - p> <= 0 for every member z is what nearest means in a convex set."""
    c = data.draw(cases(row))
    u = c.tensor("u", size * c.reach)
    p = c.threat.project(c.x, u)
    away = (u - p).double()
    members = [*c.members(), c.threat.maximise(c.x, away.to(c.x.dtype))]
    slack = 2e-6 * max(c.reach, float(u.abs().max())) * norm(away, 2) * c.x[0].numel() ** 0.5
    for z in members:
        assert bool((dot(away, z.double() - p.double()) <= slack + 1e-12).all())


@EVERY
@given(data=st.data(), size=st.sampled_from([0.5, 1.0, 5.0, 100.0]))
def test_projection_is_idempotent(row: ThreatRow, data: st.DataObject, size: float) -> None:
    c = data.draw(cases(row))
    p = c.threat.project(c.x, c.tensor("u", size * c.reach))
    again = c.threat.project(c.x, p)
    torch.testing.assert_close(again, p, rtol=2e-6, atol=2e-6 * c.reach)


@EVERY
@given(data=st.data())
def test_a_member_is_its_own_projection(row: ThreatRow, data: st.DataObject) -> None:
    c = data.draw(cases(row))
    for z in c.members():
        p = c.threat.project(c.x, z)
        torch.testing.assert_close(p, z, rtol=2e-6, atol=2e-6 * c.reach)


def by_bisection(c: Case, u: Tensor) -> np.ndarray:
    """The nearest point by 200 halvings of the multiplier, in float64."""
    x, v = floats(c.x), floats(u)
    low, high = c.row.box
    out = np.empty_like(v)
    for i, eps in enumerate(c.row.radii(len(x)).tolist()):
        room = np.where(v[i] > 0, high - x[i], x[i] - low)
        size = np.abs(v[i])

        def point(m: float, size: np.ndarray = size, room: np.ndarray = room) -> np.ndarray:
            shrunk = size - m if c.row.order == 1 else size / (1 + m)
            return np.clip(shrunk, 0, room)

        def length(m: float, point=point) -> float:  # noqa: ANN001
            return float(np.linalg.norm(point(m), c.row.order))

        a, b = 0.0, (size.max() if c.row.order == 1 else 1e15)
        if length(0.0) <= eps:
            b = 0.0
        for _ in range(200):
            m = (a + b) / 2 if c.row.order == 1 or b < 1 else (a * b) ** 0.5 if a > 0 else b / 1e3
            a, b = (m, b) if length(m) > eps else (a, m)
        out[i] = np.sign(v[i]) * point(b)
    return out


@pytest.mark.parametrize("row", CUT, ids=lambda r: r.name)
@given(data=st.data(), size=st.sampled_from([0.02, 0.2, 1.0, 4.0, 50.0]))
@settings(max_examples=25)
def test_projection_equals_bisection(row: ThreatRow, data: st.DataObject, size: float) -> None:
    c = data.draw(cases(row))
    u = c.tensor("u", size * c.reach) * c.tensor("tail").exp()
    got, want = floats(c.threat.project(c.x, u)), by_bisection(c, u)
    scale = max(c.reach, float(u.abs().max())) if c.x.dtype == torch.float32 else c.reach
    np.testing.assert_allclose(got, want, rtol=3e-6, atol=3e-6 * scale)


@pytest.mark.parametrize("row", CUT[:2], ids=lambda r: r.name)
@pytest.mark.parametrize("size", [0.05, 1.0, 20.0])
def test_projection_of_image_sized_inputs(row: ThreatRow, size: float) -> None:
    c = Case(row, row.make(B), image(row), 11)
    u = c.tensor("u", size)
    got, want = floats(c.threat.project(c.x, u)), by_bisection(c, u)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=3e-6 * max(1.0, size))
    assert bool(c.threat.contains(c.x, c.threat.project(c.x, u), 1e-6).all())


def image(row: ThreatRow) -> Tensor:
    return row.inputs(B, (3, 32, 32), 5, torch.float32)


@pytest.mark.parametrize("row", [THREATS[0], *CUT[:2]], ids=lambda r: r.name)
@pytest.mark.parametrize("seed", range(4))
def test_projection_equals_a_quadratic_programme(row: ThreatRow, seed: int) -> None:
    """The definition itself, solved by a general solver that knows no formula."""
    c = Case(row, row.make(B), row.inputs(B, (4,), seed, torch.float64), seed)
    u = c.tensor("u", 2 * c.reach)
    got, x, v = floats(c.threat.project(c.x, u)), floats(c.x), floats(u)
    for i in range(B):
        bounds = [(row.box[0] - a, row.box[1] - a) for a in x[i]]
        want = nearest_by_slsqp(v[i], bounds, row)
        np.testing.assert_allclose(got[i], want, atol=2e-5)


def nearest_by_slsqp(
    v: np.ndarray, bounds: list[tuple[float, float]], row: ThreatRow
) -> np.ndarray:
    """Split z = a - b with a, b >= 0, so that the L1 norm is smooth."""
    d = len(v)

    def room(ab: np.ndarray) -> float:
        a, b = ab[:d], ab[d:]
        if row.order == 1:
            return row.eps - float((a + b).sum())
        return row.eps**2 - float(((a - b) ** 2).sum())

    up = [min(h, row.eps) for _, h in bounds]
    down = [min(-low, row.eps) for low, _ in bounds]
    found = optimize.minimize(
        lambda ab: float(((ab[:d] - ab[d:] - v) ** 2).sum() + 1e-9 * (ab**2).sum()),
        np.zeros(2 * d),
        bounds=[(0, float(t)) for t in (*up, *down)],
        constraints=[{"type": "ineq", "fun": room}] if row.order < 3 else [],
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    return found.x[:d] - found.x[d:]


@pytest.mark.parametrize("row", CUT, ids=lambda r: r.name)
def test_the_radius_is_as_precise_as_the_inputs(row: ThreatRow) -> None:
    """A float64 projection may not work with a radius rounded to float32."""
    x = row.inputs(B, (6,), 4, torch.float64)
    middle = torch.full_like(x, sum(row.box) / 2 if np.isfinite(row.box[1]) else 0.0)
    threat = row.make(B)
    g = torch.linspace(1, 2, 6, dtype=torch.float64).expand(B, 6)
    for u in (threat.steepest(middle, threat.start(middle), g), threat.maximise(middle, g)):
        size = norm(u, row.order)
        torch.testing.assert_close(size, row.radii(B), rtol=1e-9, atol=1e-12)
