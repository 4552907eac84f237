"""Laws of a set that is not convex: compare with brute force over what may change."""

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

from saddlepoint import FGSM, FMN, L0, PGD, FrankWolfe, Lagrangian, Quantize, nearest, search
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid, Unsupported
from saddlepoint.core.shapes import dot
from saddlepoint.core.threat import Convex, Graded, ThreatModel
from tests.laws.models import problem
from tests.laws.test_attack_independence import agree
from tests.table import ATTACKS, COUNTS, SPARSE, AttackRow, ThreatRow

B, SHAPE = 4, (2, 3)
EVERY = pytest.mark.parametrize("row", COUNTS, ids=lambda r: r.name)
DTYPE = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
CONVEX = (
    *("fgsm", "frank-wolfe", "frank-wolfe-random", "sequence", "ddn", "pdpgd"),
    *("cw-linf", "deepfool", "ead", "ead-ista", "geoda"),
)
SMOOTH = ("lagrangian",)
FITTING = [
    *(a for a in ATTACKS if a.name not in (*CONVEX, *SMOOTH) and not a.name.startswith("fab")),
    *SPARSE,
]
ATTACK = pytest.mark.parametrize("attack", FITTING, ids=lambda r: r.name)


def case(row: ThreatRow, dtype: torch.dtype, seed: int = 0) -> tuple[Any, Tensor, Draw]:
    return row.make(B), row.inputs(B, SHAPE, seed, dtype), Draw.of(seed, torch.arange(B))


def noise(draw: Draw, tag: str, x: Tensor, size: float = 1.0) -> Tensor:
    wild = draw.tag(tag).normal(*SHAPE) * draw.tag(tag, "tail").normal(*SHAPE).exp()
    return wild.to(x.dtype) * size


def members(threat: Any, x: Tensor, draw: Draw) -> list[Tensor]:  # noqa: ANN401
    far = threat.project(x, noise(draw, "far", x, 5.0))
    vertex = threat.project(x, threat.steepest(x, threat.start(x), noise(draw, "g", x)))
    return [threat.start(x), threat.sample(x, draw), far, vertex, 0.5 * far]


def supports(row: ThreatRow) -> list[tuple[int, ...]]:
    dims = SHAPE[0] * SHAPE[1]
    return list(itertools.combinations(range(dims), min(int(row.eps), dims)))


@EVERY
def test_has_the_verbs_of_nested_sets_and_none_of_convex_ones(row: ThreatRow) -> None:
    threat = row.make(B)
    assert isinstance(threat, ThreatModel)
    assert isinstance(threat, Graded)
    assert not isinstance(threat, Convex)


@EVERY
@DTYPE
@pytest.mark.parametrize("seed", range(3))
def test_members_are_contained(row: ThreatRow, dtype: torch.dtype, seed: int) -> None:
    threat, x, draw = case(row, dtype, seed)
    for u in members(threat, x, draw):
        assert bool(threat.contains(x, u, 1e-6).all())
        assert row.excess(x, threat.apply(x, u)).max() <= 1e-6
        assert bool((threat.size(x, u) <= row.eps).all())
        torch.testing.assert_close(threat.project(x, u), u)
    assert torch.equal(threat.apply(x, threat.start(x)), x)


@EVERY
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("size", [0.2, 1.0, 10.0])
def test_projection_is_nearest(row: ThreatRow, seed: int, size: float) -> None:
    """Of all ways to choose the values that change, each at its best."""
    threat, x, draw = case(row, torch.float64, seed)
    u = noise(draw, "u", x, size)
    got = (threat.project(x, u) - u).flatten(1).square().sum(1)
    cut = (u.clamp(row.box[0] - x, row.box[1] - x)).flatten(1)
    want = torch.full_like(got, torch.inf)
    for chosen in supports(row):
        z = torch.zeros_like(cut)
        z[:, list(chosen)] = cut[:, list(chosen)]
        want = torch.minimum(want, (z - u.flatten(1)).square().sum(1))
    torch.testing.assert_close(got, want)


@EVERY
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("start", ["clean", "random"])
def test_a_whole_step_lands_on_the_best_member(row: ThreatRow, seed: int, start: str) -> None:
    threat, x, draw = case(row, torch.float64, seed)
    g = noise(draw, "g", x)
    g[1, 0] = 0
    u = threat.start(x) if start == "clean" else threat.sample(x, draw)
    for _ in range(2):  # the second takes back what the first could not replace
        u = threat.project(x, u + threat.steepest(x, u, g))
    gain = (g.abs() * torch.where(g > 0, row.box[1] - x, x - row.box[0])).flatten(1)
    want = max_over(gain, supports(row))
    torch.testing.assert_close(dot(g, u), want, rtol=1e-9, atol=1e-9)


def max_over(gain: Tensor, chosen: list[tuple[int, ...]]) -> Tensor:
    return torch.stack([gain[:, list(c)].sum(1) for c in chosen]).amax(0)


@EVERY
@pytest.mark.parametrize("t", [0.02, 0.3, 1.0, 2.0])
def test_steepest_climbs_after_projection(row: ThreatRow, t: float) -> None:
    threat, x, draw = case(row, torch.float64)
    g = noise(draw, "g", x)
    for u in (threat.start(x), threat.project(x, threat.steepest(x, threat.start(x), g))):
        moved = threat.project(x, u + t * threat.steepest(x, u, g))
        assert bool((dot(g, moved - u) >= -1e-9).all())


@EVERY
@pytest.mark.parametrize("scale", [2.0**-90, 2.0**90])
def test_the_scale_of_the_gradient_does_not_matter(row: ThreatRow, scale: float) -> None:
    threat, x, draw = case(row, torch.float32)
    g = noise(draw, "g", x)
    u = threat.sample(x, draw)
    torch.testing.assert_close(threat.steepest(x, u, g * scale), threat.steepest(x, u, g))
    zero = torch.zeros_like(x)
    assert torch.equal(threat.steepest(x, zero, zero).abs(), zero)


@EVERY
def test_contains_rejects_one_value_too_many_and_what_leaves_the_box(row: ThreatRow) -> None:
    threat = row.make(B)
    x = torch.full((B, 120), sum(row.box) / 2)
    u = torch.zeros_like(x)
    u[:, : int(row.eps)] = 0.1
    assert bool(threat.contains(x, u, 1e-6).all())
    u[:, -1] = 1e-30
    assert not bool(threat.contains(x, u, 1e-6).any())
    for bad in (row.box[1], float("nan")):
        u = torch.zeros_like(x)
        u[1, 0] = bad
        assert threat.contains(x, u, 1e-6).tolist() == [True, False, True, True]


@EVERY
def test_rows_are_independent_and_sizes_may_differ(row: ThreatRow) -> None:
    threat, x, draw = case(row, torch.float64)
    each = threat.at(torch.tensor([1.0, 0.0, 2.9, 3.0]))
    assert each.eps.tolist() == [1, 0, 2, 3]
    u, g, keep = noise(draw, "u", x, 3.0), noise(draw, "g", x), torch.tensor([2, 0])
    for t in (threat, each):
        part = t[keep]
        assert torch.equal(t.project(x, u)[keep], part.project(x[keep], u[keep]))
        assert torch.equal(t.sample(x, draw)[keep], part.sample(x[keep], draw[keep]))
        step = t.steepest(x, u, g)[keep]
        assert torch.equal(step, part.steepest(x[keep], u[keep], g[keep]))
    assert (each.size(x, each.project(x, u)) <= each.eps).all()
    assert threat.at(2.7).eps == 2
    assert repr(threat.to(torch.device("cpu"))) == repr(threat)


def test_size_counts() -> None:
    u = torch.tensor([[0.0, 0.1, -0.2], [0.0, 0.0, 1e-30]])
    assert L0(eps=1).size(torch.zeros(2, 3), u).tolist() == [2, 1]


def test_samples_change_as_many_values_as_they_may() -> None:
    x = torch.full((50, 8), 0.5)
    u = L0(eps=3).sample(x, Draw.of(0, torch.arange(50)))
    assert L0(eps=3).size(x, u).tolist() == [3] * 50
    assert float((u != 0).double().mean(0).min()) > 0.1


@ATTACK
@pytest.mark.parametrize("early_stop", [True, False])
def test_attacks_stay_inside(attack: AttackRow, early_stop: bool) -> None:
    row = COUNTS[0]
    net, x, y, threat = problem(row)
    found = search(attack.small, net, x, y, threat, early_stop=early_stop)
    assert found.error is None
    assert bool(threat.contains(x, found.u, 1e-6).all())
    assert row.excess(x, found.x_adv).max() <= 1e-6
    assert bool((found.margin >= found.clean_margin - 1e-12).all())


@ATTACK
def test_alone_and_in_company(attack: AttackRow) -> None:
    net, x, y, threat = problem(COUNTS[0])
    ids = torch.arange(8)
    whole = search(attack.small, net, x, y, threat, ids=ids)
    for rows in (torch.tensor([2]), torch.tensor([7, 1, 4])):
        part = search(attack.small, net, x[rows], y[rows], threat[rows], ids=ids[rows])
        agree(whole, part, rows)


@pytest.mark.parametrize("attack", [FGSM(), FrankWolfe()], ids=repr)
def test_attacks_that_walk_between_members_are_refused(attack: Any) -> None:  # noqa: ANN401
    net, x, y, threat = problem(COUNTS[0])
    with pytest.raises(Unsupported, match="Convex"):
        search(attack, net, x, y, threat)


def test_an_attack_that_follows_the_size_needs_its_gradient() -> None:
    net, x, y, threat = problem(COUNTS[0])
    with pytest.raises(Unsupported, match="that of L0 has none"):
        search(Lagrangian(), net, x, y, threat)


def test_the_fewest_changes_agree_with_brute_force() -> None:
    """Every single value at both ends of its range: no attack finds a break where there is none."""
    net, x, y, _ = problem(COUNTS[0])
    net.eval()
    found = nearest(FMN(), net, x, y, L0(eps=12))
    single = torch.zeros(len(x), dtype=torch.bool)
    for i in range(12):
        for end in (0.0, 1.0):
            moved = x.flatten(1).clone()
            moved[:, i] = end
            single |= net(moved.view_as(x)).argmax(1) != y
    assert bool((found.size[single] >= 0).all())
    assert bool((found.size[single & (found.size > 0)] <= 2).all())
    near = nearest(PGD(), net, x, y, L0(eps=1))
    assert bool((~near.size.isfinite() | single | (near.size == 0)).all())


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: L0(eps=1.5), "whole number"),
        (lambda: L0(eps=-1), "whole number"),
        (lambda: L0(eps=float("inf")), "whole number"),
        (lambda: L0(eps=True), "eps"),
        (lambda: L0(eps=1, box=(0.0, float("inf"))), "finite"),
        (lambda: L0(eps=1, box=(1.0, 0.0)), "low < high"),
        (lambda: L0(eps=torch.ones(2, 2)), "tensor"),
        (lambda: L0(eps=1).at(-1.0), "eps"),
        (lambda: Quantize(L0(eps=1)), "convex"),  # type: ignore[arg-type]
    ],
)
def test_bad_sets(make: Any, match: str) -> None:  # noqa: ANN401
    with pytest.raises(Invalid, match=match):
        make()
