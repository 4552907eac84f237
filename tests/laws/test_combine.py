"""Sets made of sets: unions, chains and masks obey their members, and lose nothing to them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.audit.membership import independent, inspect
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import BadData, Invalid, Unsupported
from saddlepoint.core.shapes import dot
from saddlepoint.core.threat import MEMBER, Convex, Graded, Parted, parametric
from saddlepoint.presets import parse_attack, parse_threat
from saddlepoint.train.worst import Inner
from tests.laws.models import SHAPE, mlp
from tests.laws.toy import Shade
from tests.table import ATTACKS, AttackRow

N = 24
MEMBERS = (
    sp.Masked(sp.Linf(0.1), mask=((0, 2),)),
    sp.Masked(sp.L2(0.35), mask=((2, 4),)),
    sp.Masked(sp.L0(1), mask=((0, 1), (2, 4))),
)
BALLS = (sp.Linf(0.1), sp.L2(0.25), sp.L0(2))
IDS = torch.arange(N)


def problem() -> tuple[nn.Module, Tensor, Tensor]:
    net = mlp(seed=3).eval()
    x = torch.rand(N, *SHAPE, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    return net, x, net(x).argmax(1)


def images(n: int = 4) -> Tensor:
    rng = torch.Generator().manual_seed(1)
    return torch.rand(n, 1, 5, 6, generator=rng, dtype=torch.float64)


def noise(u: Tensor, tag: str, size: float = 1.0) -> Tensor:
    return Draw.of(0, torch.arange(len(u))).tag(tag).normal(*u.shape[1:]).to(u.dtype) * size


SEARCHES = [
    r for r in ATTACKS if r.name in ("pgd", "apgd", "square", "polish", "guess", "restarts")
]


@pytest.mark.parametrize("row", SEARCHES, ids=lambda r: r.name)
def test_a_union_is_never_safer_than_its_members(row: AttackRow) -> None:
    net, x, y = problem()
    alone = torch.stack([sp.search(row.small, net, x, y, m).broken for m in MEMBERS])
    both = sp.search(sp.Each(row.small), net, x, y, sp.Union(*MEMBERS))
    assert both.error is None
    assert torch.equal(both.broken, alone.any(0))
    chosen = both.u[:, 0].long()
    for k in range(len(MEMBERS)):  # the first that breaks a sample has broken it
        assert (chosen[both.broken & ~alone[:k].any(0) & alone[k]] == k).all()


def test_each_member_breaks_samples_that_others_do_not() -> None:
    net, x, y = problem()
    alone = torch.stack([sp.search(sp.APGD(steps=12), net, x, y, m).broken for m in MEMBERS])
    only = [(alone[k] & (alone.sum(0) == 1)).sum() for k in range(len(MEMBERS))]
    assert min(only) > 0


def test_a_chain_is_never_safer_than_its_members() -> None:
    net, x, y = problem()
    pair, attack = MEMBERS[:2], sp.PGD(steps=6)
    alone = torch.stack([sp.search(attack, net, x, y, m).broken for m in pair])
    chain = sp.search(sp.Each(attack), net, x, y, sp.Chain(*pair))
    assert not bool((alone.any(0) & ~chain.broken).any())
    assert int(chain.broken.sum()) > int(alone.any(0).sum())  # one after the other does more
    assert sp.Chain(*pair).contains(x, chain.u, MEMBER).all()


def test_the_closest_break_of_a_union_is_that_of_a_member() -> None:
    net, x, y = problem()
    sets, x, y, attack = (sp.Linf(0.3), sp.L2(0.8)), x[:8], y[:8], sp.FMN(steps=10)
    both = sp.nearest(sp.Each(attack), net, x, y, sp.Union(*sets))
    alone = [sp.nearest(attack, net, x, y, m).size / m.eps for m in sets]
    torch.testing.assert_close(both.size, torch.stack(alone).amin(0), rtol=1e-9, atol=0)
    assert both.size.isfinite().all()
    assert len(set(both.u[:, 0].tolist())) == 2


def test_bisection_counts_in_the_units_of_the_union() -> None:
    net, x, y = problem()
    sets, x, y = (sp.Linf(0.3), sp.L2(0.8)), x[:8], y[:8]
    attack = sp.Bisect(sp.PGD(steps=6), tolerance=0.05)
    alone = torch.stack([sp.nearest(attack, net, x, y, m).size / m.eps for m in sets]).amin(0)
    inner = sp.nearest(sp.Each(attack), net, x, y, sp.Union(*sets)).size
    outer = sp.nearest(
        sp.Bisect(sp.Each(sp.PGD(steps=6)), tolerance=0.05), net, x, y, sp.Union(*sets)
    ).size
    for size in (inner, outer):
        assert torch.equal(size.isfinite(), alone.isfinite())
        known = alone.isfinite()
        assert bool(((size[known] / alone[known] - 1).abs() < 0.15).all())


@pytest.mark.parametrize("whole", [sp.Union(*MEMBERS), sp.Chain(*MEMBERS[:2])], ids=repr)
def test_training_sees_the_worst_of_all_parts(whole: Any) -> None:  # noqa: ANN401
    net, x, y = problem()
    attack = sp.PGD(steps=4)

    def harm(threat: Any, attack: Any) -> Tensor:  # noqa: ANN401
        x_adv = Inner(threat, attack)(net, x, y)
        return nn.functional.cross_entropy(net(x_adv), y, reduction="none")

    parts = torch.stack([harm(part, attack) for part in whole.parts])
    assert bool((harm(whole, sp.Each(attack)) >= parts.amax(0) - 1e-9).all())


def test_what_is_nested_is_taken_apart() -> None:
    a, b, c = BALLS
    flat = sp.Union(a, b, c)
    assert (a | b) | c == a | (b | c) == sp.Union(sp.Union(a), sp.Union(b, c)) == flat
    assert (a >> b) >> c == a >> (b >> c) == sp.Chain(a, b, c)
    assert len((a | (b >> c)).sets) == 2
    assert sp.Union(sp.Union(a, b, eps=0.5), c).parts[0].eps == pytest.approx(0.05)


@pytest.mark.parametrize("kind", [sp.Union, sp.Chain])
@pytest.mark.parametrize("one", [*BALLS, Shade(0.3)], ids=repr)
def test_of_a_single_set_it_acts_as_that_set(kind: Any, one: Any) -> None:  # noqa: ANN401
    x = images()
    whole, skip = kind(one), 1 if kind is sp.Union else 0
    start = one.start(x)
    u, g = start + noise(start, "u"), noise(start, "g")
    lead = x.new_zeros(len(x), skip)
    wide, slope = (torch.cat([lead, t.flatten(1)], 1) for t in (u, g))
    v = one.project(x, u)
    torch.testing.assert_close(whole.project(x, wide)[:, skip:], v.flatten(1), rtol=0, atol=0)
    step = whole.steepest(x, wide, slope)[:, skip:]
    torch.testing.assert_close(step, one.steepest(x, u, g).flatten(1), rtol=0, atol=0)
    assert torch.equal(whole.apply(x, whole.project(x, wide)), one.apply(x, v))
    near = torch.cat([lead, v.flatten(1)], 1)
    torch.testing.assert_close(
        whole.size(x, near) * one.eps, one.size(x, v).to(x), rtol=1e-9, atol=0
    )


def test_a_chain_with_an_empty_set_acts_as_the_other() -> None:
    x = images()
    u = noise(x, "u")
    for chain in (sp.Linf(0.0) >> sp.L2(0.4), sp.L2(0.4) >> sp.Linf(0.0)):
        wide = chain.project(x, torch.cat([u.flatten(1)] * 2, 1))
        assert torch.equal(chain.apply(x, wide), x + sp.L2(0.4).project(x, u))
        assert bool((chain.size(x, wide) <= 1 + 1e-9).all())


def test_sizes_are_shares_of_each_members_own() -> None:
    x = torch.full((1, 2), 0.5, dtype=torch.float64)
    both = sp.Linf(0.2) | sp.L2(1.0)
    assert both.size(x, torch.tensor([[0, 0.1, 0.0, 0, 0]])).item() == pytest.approx(0.5)
    assert both.size(x, torch.tensor([[1, 0.0, 0.0, 0.3, 0.4]])).item() == pytest.approx(0.5)
    chain = sp.Linf(0.2) >> sp.L2(1.0)
    assert chain.size(x, torch.tensor([[0.1, 0, 0.3, 0]])).item() == pytest.approx(0.5)
    counts = sp.L0(3) | sp.Linf(0.1)
    assert counts.at(2 / 3).parts[0].eps == 2
    assert counts.at(torch.tensor([1 / 3])).parts[0].eps.item() == 1
    assert (sp.L0(3) | sp.Linf(0.0)).at(1) == sp.L0(3) | sp.Linf(0.0)


def test_verbs_that_a_set_lacks_are_missing_from_the_whole() -> None:
    ball, count = sp.L2(0.5), sp.L0(2)
    for threat, convex, sized in (
        (sp.Union(ball, count), False, True),
        (sp.Masked(ball, ((0, 2),)), True, True),
        (sp.Masked(count, ((0, 2),)), False, True),
        (sp.Masked(Shade(0.3), ((0, 2),)), False, True),
    ):
        assert isinstance(threat, Convex) == convex
        assert isinstance(threat, Graded) == sized
        assert isinstance(threat, Parted) == isinstance(threat, sp.Union)
    with pytest.raises(Unsupported, match="FGSM needs a Convex threat model; Union is none"):
        sp.search(sp.FGSM(), *problem(), sp.Union(ball, count))


@pytest.mark.parametrize("base", [sp.Linf(0.1), sp.L2(0.4), sp.L1(1.0)], ids=repr)
def test_a_masked_ball_projects_to_the_nearest_and_maximises_exactly(base: Any) -> None:  # noqa: ANN401
    x = images()
    masked = sp.Masked(base, mask=((1, 4), (0, 3)))
    u, g = noise(x, "u"), noise(x, "g")
    p, best = masked.project(x, u), dot(g, masked.maximise(x, g))
    for tag in range(20):
        z = masked.project(x, noise(x, f"z{tag}", 3.0))
        assert bool((dot(u - p, z - p) <= 1e-9).all())  # p is nearest: <u - p, z - p> <= 0
        assert bool((dot(g, z) <= best + 1e-9).all())
    kept = torch.zeros(5, 6, dtype=torch.bool)
    kept[1:4, 0:3] = True
    inner = base.maximise(x[..., kept], g[..., kept])  # the same ball with the rest left out
    torch.testing.assert_close(dot(g[..., kept], inner), best)
    low, high = masked.hull(x)
    assert torch.equal(low[..., ~kept], x[..., ~kept])
    assert torch.equal(high[..., ~kept], x[..., ~kept])


@pytest.mark.parametrize(
    "base",
    [sp.L2(0.5), sp.L0(3), Shade(0.4), sp.L2(0.5) | sp.L0(2), sp.L2(0.3) >> sp.Linf(0.1)],
    ids=repr,
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_nothing_changes_outside_a_mask(base: Any, dtype: torch.dtype) -> None:  # noqa: ANN401
    x = images().to(dtype)
    masked = sp.Masked(base, mask=((1, 4), (0, 3)))
    start = masked.start(x)
    for u in (masked.sample(x, Draw.of(0, torch.arange(4))), masked.project(x, noise(start, "u"))):
        moved = masked.apply(x, u)
        assert torch.equal(moved[..., 4:, :], x[..., 4:, :])
        assert torch.equal(moved[..., 3:], x[..., 3:])
        assert not torch.equal(moved, x)


def test_masks_come_from_files_tensors_boxes_and_slices(tmp_path: Path) -> None:
    x, kept = images(), torch.zeros(5, 6, dtype=torch.bool)
    kept[1:4, 0:3] = True
    path = str(tmp_path / "mask.npz")
    np.savez(path, mask=kept.numpy())
    u = noise(x, "u")
    want = sp.Masked(sp.L2(0.5), mask=((1, 4), (0, 3))).project(x, u)
    for mask in (
        path,
        kept,
        kept.float(),
        kept[None],
        (slice(1, 4), slice(0, 3)),
        ((1, 4), (0, 3)),
    ):
        assert torch.equal(sp.Masked(sp.L2(0.5), mask=mask).project(x, u), want)
    whole = sp.Masked(sp.L2(0.5), mask=(None, (0, 6)))
    assert torch.equal(whole.project(x, u), sp.L2(0.5).project(x, u))
    known = parse_threat(repr(sp.Masked(sp.L2(0.5), mask=path)))
    assert known == sp.Masked(sp.L2(0.5), mask=path)
    np.savez(path, mask=~kept.numpy())
    with pytest.raises(BadData, match="its content has changed"):
        parse_threat(repr(known))


def bad_masks() -> list[tuple[Any, str]]:
    return [
        ((), "a .first, end. for each"),
        (((2, 2),), "it would be empty"),
        (((-1, 2),), "0 <= first < end"),
        (((1, 2, 3),), "a .first, end. for each"),
        ((slice(0, 4, 2),), "a .first, end. for each"),
        (torch.zeros(5, 6), "at least one value"),
        (torch.full((5, 6), 0.5), "0 and 1"),
    ]


@pytest.mark.parametrize(("mask", "message"), bad_masks())
def test_masks_that_are_none(mask: Any, message: str) -> None:  # noqa: ANN401
    with pytest.raises(Invalid, match=message):
        sp.Masked(sp.Linf(0.1), mask=mask)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (torch.ones(6, 5), "of shape .1, 5, 6."),
        (torch.ones(1, 1, 5, 6), "of shape"),
        (((0, 7),), "within .1, 5, 6."),
        (((0, 1),) * 4, "no more than 3 pairs"),
    ],
    ids=str,
)
def test_masks_for_other_shapes(mask: Any, message: str) -> None:  # noqa: ANN401
    for threat in (sp.Masked(sp.Linf(0.1), mask), sp.Linf(0.1) | sp.Masked(sp.Linf(0.1), mask)):
        with pytest.raises(Invalid, match=message):
            threat.start(images())


def test_files_that_are_no_masks(tmp_path: Path) -> None:
    for name, arrays in {"two": {"a": 1, "b": 2}, "object": {"mask": np.array([{}])}}.items():
        np.savez(tmp_path / name, **{k: np.asarray(v) for k, v in arrays.items()})
        with pytest.raises(BadData, match=name):
            sp.Masked(sp.Linf(0.1), mask=str(tmp_path / f"{name}.npz"))
    (tmp_path / "text.npz").write_text("no archive")
    for name in ("text.npz", "missing.npz"):
        with pytest.raises(BadData, match="no readable mask"):
            sp.Masked(sp.Linf(0.1), mask=str(tmp_path / name))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sp.Union(), "at least one"),
        (lambda: sp.Chain(), "at least one"),
        (lambda: sp.Union(sp.Linf), "threat models such as"),
        (lambda: sp.Linf(0.1) | 3, "threat models such as"),
        (lambda: sp.Linf(0.1) | sp.L2(1, box=(-1, 1)), "one input range for all"),
        (lambda: sp.L2(1, box=(0, 255)) >> sp.L2(1), "one input range for all"),
        (lambda: sp.Union(sp.Linf(0.1), eps=-1), "a finite factor >= 0"),
        (lambda: sp.Union(sp.Linf(0.1), eps="half"), "a finite factor >= 0"),
        (lambda: sp.Masked(sp.Quantize(sp.Linf(0.1)), ((0, 2),)), "Quantize.Masked"),
        (lambda: sp.Masked(3, ((0, 2),)), "a threat model"),
        (lambda: sp.PartOf(sp.PGD(), k=-1), "the number of a part"),
        (lambda: sp.Each(3), "an attack such as"),
    ],
)
def test_what_cannot_be_combined(make: Any, message: str) -> None:  # noqa: ANN401
    with pytest.raises(Invalid, match=message):
        make()


def test_attacks_on_parts_that_are_not_there() -> None:
    net, x, y = problem()
    both = sp.Linf(0.1) | sp.L0(1)
    for attack, threat, message in (
        (sp.PartOf(sp.PGD(), k=2), both, "parts 0 to 1, and no part 2"),
        (sp.PartOf(sp.PGD(), k=0), sp.Linf(0.1), "Linf has no parts"),
        (sp.Each((sp.PGD(),) * 3), both, "3 attacks for .* which has 2 parts"),
        (sp.Each((sp.PGD(),) * 2), sp.Linf(0.1), "2 attacks for .* 1 part"),
        (sp.Each(sp.FGSM()), both, "FGSM needs a Convex threat model; L0 is none"),
    ):
        with pytest.raises(Unsupported, match=message):
            sp.search(attack, net, x, y, threat)
    assert parse_attack("PartOf(PGD(steps=3), k=1)") == sp.PartOf(sp.PGD(steps=3), k=1)


def test_each_attack_suits_its_part() -> None:
    net, x, y = problem()
    mixed = sp.Each((sp.FGSM(), sp.SigmaZero(steps=8)))
    found = sp.search(mixed, net, x, y, sp.Linf(0.06) | sp.L0(1))
    alone = [
        sp.search(a, net, x, y, t).broken
        for a, t in ((sp.FGSM(), sp.Linf(0.06)), (sp.SigmaZero(steps=8), sp.L0(1)))
    ]
    assert torch.equal(found.broken, alone[0] | alone[1])


def test_the_checker_reads_every_block() -> None:
    x = images().float()
    both, rows = sp.Linf(0.1) | sp.L2(0.5), np.arange(4)
    u = both.sample(x, Draw.of(0, torch.arange(4)))
    moved = both.apply(x, u)

    def said(v: Tensor) -> list[str]:
        return inspect(x.numpy(), moved.numpy(), both, rows, v.numpy())

    assert said(u) == [""] * 4
    other, idle, half = u.clone(), u.clone(), u.clone()
    other[:, 0] = 1 - u[:, 0]
    half[:, 0] = 0.5
    idle[:, 1:] += 0.05
    assert all(said(other))
    assert all("was chosen" in s for s in said(half))
    assert all(said(idle))
    assert all("parameters of shape" in s for s in said(u[:, :-1]))
    assert independent(both)
    assert not independent(both | Shade(0.3))
    assert parametric(both)
    masked = sp.Masked(sp.Linf(0.1), ((0, 2), (0, 2)))
    outside = x.clone()
    outside[..., 4, 4] += 1e-3
    assert inspect(x.numpy(), outside.numpy(), masked, rows) == ["a change outside the mask"] * 4


def test_bounds_hold_in_masked_sets_and_refuse_unions() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3))
    x = torch.rand(12, *SHAPE, generator=torch.Generator().manual_seed(4))
    data, attack = (x, net(x).argmax(1)), (sp.PGD(steps=10),)

    def proved(threat: Any) -> sp.Audit:  # noqa: ANN401
        how = sp.Verification(seconds=None, subproblems=20)
        return sp.audit(net, data, threat, attack, verify=how, figures=0, probes=0)

    free, held = proved(sp.Linf(0.2)), proved(sp.Masked(sp.Linf(0.2), ((0, 2),)))
    assert held.certified_accuracy > free.certified_accuracy
    assert held.robust_accuracy >= held.certified_accuracy
    for base in (sp.L2(0.3), sp.L1(0.5)):
        masked = proved(sp.Masked(base, torch.tensor([1, 1, 0, 0])))
        assert masked.document["verification"]["reason"] is None
        assert masked.certified_accuracy > 0
    union = proved(sp.Linf(0.2) | sp.L2(0.2)).document["verification"]
    assert "is not convex: bounds need" in union["reason"]
