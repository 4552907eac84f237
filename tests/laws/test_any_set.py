"""Laws of every set, whatever it is made of: only the verbs are asked, on small images."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from saddlepoint import search
from saddlepoint.attacks.combine import check_attack
from saddlepoint.audit.membership import inspect
from saddlepoint.core.access import check_fit
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Unsupported
from saddlepoint.core.shapes import flat
from saddlepoint.core.threat import MEMBER, Graded, ThreatModel, parametric
from tests.laws.test_attack_independence import agree
from tests.laws.toy import Shade
from tests.table import ATTACKS, GRIDS, PARTED, SETS, SPARSE, AttackRow, SetRow

ROWS = (SetRow("toy", lambda n: Shade(0.3)), *SETS)
B = 5


def listed(rows: tuple[SetRow, ...]) -> list[Any]:
    slow = pytest.mark.slow
    return [pytest.param(r, id=r.name, marks=[slow] if r.slow else []) for r in rows]


ROW = pytest.mark.parametrize("row", listed(ROWS))


def case(
    row: SetRow, dtype: torch.dtype = torch.float64, seed: int = 0
) -> tuple[Any, Tensor, Draw]:
    return row.make(B), row.inputs(B, seed, dtype), Draw.of(seed, torch.arange(B))


def noise(u: Tensor, draw: Draw, tag: str, size: float = 1.0) -> Tensor:
    wild = draw.tag(tag).normal(*u.shape[1:]) * draw.tag(tag, "tail").normal(*u.shape[1:]).exp()
    return wild.to(u.dtype) * size


def members(threat: Any, x: Tensor, draw: Draw) -> list[Tensor]:  # noqa: ANN401
    start = threat.start(x)
    far = threat.project(x, start + noise(start, draw, "far", 5.0))
    near = threat.project(x, start + noise(start, draw, "near", 0.1))
    g = noise(start, draw, "g")
    step = threat.project(x, far + threat.steepest(x, far, g))
    return [start, threat.sample(x, draw), far, near, step]


@ROW
def test_has_the_verbs_and_says_what_it_is(row: SetRow) -> None:
    threat = row.make(B)
    assert isinstance(threat, ThreatModel)
    assert threat.box[0] < threat.box[1]
    assert repr(threat) == repr(row.make(B))
    assert hash(repr(threat)) == hash(repr(row.make(B)))


@ROW
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_members_are_members(row: SetRow, dtype: torch.dtype) -> None:
    threat, x, draw = case(row, dtype)
    for u in members(threat, x, draw):
        assert u.dtype == x.dtype
        assert bool(threat.contains(x, u, MEMBER).all())
        moved = threat.apply(x, u)
        assert moved.shape == x.shape
        assert moved.dtype == x.dtype
        slack = 1e-6 * max(1.0, threat.box[1] - threat.box[0])
        assert threat.box[0] - slack <= float(moved.min())
        assert float(moved.max()) <= threat.box[1] + slack
        if not row.uneven:
            torch.testing.assert_close(threat.project(x, u), u, rtol=0, atol=row.spaced)


@ROW
def test_the_start_changes_nothing(row: SetRow) -> None:
    for dtype in (torch.float32, torch.float64):
        threat, x, _ = case(row, dtype)
        assert torch.equal(threat.apply(x, threat.start(x)), x)


@ROW
def test_an_independent_check_agrees(row: SetRow) -> None:
    threat, x, draw = case(row, torch.float32)
    number = torch.arange(B).numpy()
    for u in members(threat, x, draw):
        moved = threat.apply(x, u).numpy()
        assert inspect(x.numpy(), moved, threat, number, u.numpy()) == [""] * B
        off = moved.copy()
        off.reshape(B, -1)[:, 0] += 3 * (threat.box[1] - threat.box[0])
        assert all(inspect(x.numpy(), off, threat, number, u.numpy()))
        if parametric(threat):
            assert all(inspect(x.numpy(), moved, threat, number, u.numpy() + 1e3))
            assert all(inspect(x.numpy(), moved, threat, number, None))


@ROW
def test_what_is_far_out_is_not_contained(row: SetRow) -> None:
    threat, x, draw = case(row)
    start = threat.start(x)
    out = start + 1e3 * noise(start, draw, "out").sign()
    assert not bool(threat.contains(x, out, MEMBER).any())
    bad = start.clone()
    flat(bad)[2, 0] = float("nan")
    assert threat.contains(x, bad, MEMBER).tolist() == [True, True, False, True, True]


@ROW
def test_rows_are_independent(row: SetRow) -> None:
    threat, x, draw = case(row)
    start, keep = threat.start(x), torch.tensor([3, 0])
    u = threat.sample(x, draw)
    wild, g = start + noise(start, draw, "u", 3.0), noise(start, draw, "g")
    part, near = threat[keep], {"rtol": 1e-12, "atol": 1e-12}
    for got, want in (
        (part.start(x[keep]), start[keep]),
        (part.sample(x[keep], draw[keep]), u[keep]),
        (part.project(x[keep], wild[keep]), threat.project(x, wild)[keep]),
        (part.steepest(x[keep], u[keep], g[keep]), threat.steepest(x, u, g)[keep]),
        (part.apply(x[keep], u[keep]), threat.apply(x, u)[keep]),
    ):
        torch.testing.assert_close(got, want, **near)
    assert torch.equal(part.contains(x[keep], u[keep], MEMBER), torch.ones(2, dtype=torch.bool))


@ROW
def test_no_rows_at_all(row: SetRow) -> None:
    threat, x, draw = case(row)
    none = torch.arange(0)
    part, x0 = threat[none], x[none]
    u = part.start(x0)
    assert len(part.project(x0, u)) == len(part.apply(x0, u)) == 0
    assert part.contains(x0, u, MEMBER).shape == (0,)
    assert len(part.sample(x0, draw[none])) == 0


@ROW
def test_a_zero_gradient_moves_nothing_out(row: SetRow) -> None:
    threat, x, draw = case(row)
    u = threat.sample(x, draw)
    step = threat.steepest(x, u, torch.zeros_like(u))
    assert bool(step.isfinite().all())
    assert bool(threat.contains(x, threat.project(x, u + step), MEMBER).all())


@ROW
def test_sizes_nest(row: SetRow) -> None:
    threat, x, draw = case(row)
    if not isinstance(threat, Graded):
        pytest.skip("has no sizes")
    eps = torch.as_tensor(threat.eps, dtype=x.dtype).expand(B)
    for u in members(threat, x, draw):
        size = threat.size(x, u).double()
        assert bool((size <= eps * (1 + 1e-5) + 1e-5).all())
        around = threat.at((size * (1 + 1e-6) + 1e-6).to(x.dtype))
        assert bool(around.contains(x, u, 1e-5).all())
    assert bool((threat.size(x, threat.start(x)) == 0).all())


def net(row: SetRow, classes: int = 4) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        size = torch.Size(row.shape).numel()
        layers = nn.Flatten(), nn.Linear(size, 16), nn.Tanh(), nn.Linear(16, classes)
        with torch.no_grad():
            layers[1].weight.mul_(4)
    return nn.Sequential(*layers).double().eval()


def fits(attack: AttackRow, row: SetRow) -> bool:
    threat = row.make(B)
    check_attack(attack.small)
    try:
        check_fit(attack.small, threat, "gradients")
    except Unsupported:
        return False
    return not attack.follows or follows(threat, row.inputs(B, 0, torch.float64))


def follows(threat: Any, x: Tensor) -> bool:  # noqa: ANN401
    """Whether the size of a member can be differentiated."""
    return bool(threat.size(x, threat.start(x).requires_grad_()).requires_grad)


def pairs() -> list[Any]:
    """Each set with each attack that fits it; all but a few attacks run in the slow suite."""
    quick = ("pgd", "grid", "refine", "square", "worst-of", "apgd", "polish-search")
    found = []
    for row in ROWS:
        for attack in (*ATTACKS, *GRIDS, *SPARSE, *PARTED):
            if fits(attack, row):
                slow = row.slow or attack.name not in quick
                marks = [pytest.mark.slow] if slow else []
                found.append(pytest.param(row, attack, id=f"{row.name}-{attack.name}", marks=marks))
    return found


@pytest.mark.parametrize(("row", "attack"), pairs())
def test_attacks_stay_inside_and_never_lose_ground(row: SetRow, attack: AttackRow) -> None:
    threat, x, _ = case(row)
    model, ids = net(row), torch.arange(B)
    y = model(x).argmax(1)
    y[1] = (y[1] + 1) % 4  # wrong from the start
    found = search(attack.small, model, x, y, threat, early_stop=False)
    assert found.error is None
    assert bool(threat.contains(x, found.u, MEMBER).all())
    assert torch.equal(found.x_adv, threat.apply(x, found.u))
    assert bool((found.margin >= found.clean_margin - 1e-9).all())
    number = ids.numpy()
    assert inspect(x.numpy(), found.x_adv.numpy(), threat, number, found.u.numpy()) == [""] * B
    rows = torch.tensor([4, 2])
    whole = search(attack.small, model, x, y, threat, ids=ids)
    part = search(attack.small, model, x[rows], y[rows], threat[rows], ids=ids[rows])
    if row.ties:
        torch.testing.assert_close(whole.margin[rows], part.margin, rtol=1e-9, atol=1e-9)
    else:
        agree(whole, part, rows, 1e-6 if row.amplifies else 1e-9)
