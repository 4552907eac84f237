"""Planes that lean lie above ReLUs, touch them, and bound no worse than chords."""

import itertools
from dataclasses import replace

import pytest
import torch
from test_slope import compare
from torch import Tensor, nn
from torch.testing import assert_close

from saddlepoint.threats import L2, Linf
from saddlepoint.verify.alpha import Ascent, Free, initial
from saddlepoint.verify.crown import crown
from saddlepoint.verify.interval import Bounds
from saddlepoint.verify.network import Network
from saddlepoint.verify.planes import Choice, least
from saddlepoint.verify.proof import roofs as checked
from saddlepoint.verify.refine import Refine
from saddlepoint.verify.region import Region, region
from saddlepoint.verify.roof import Cover, Roofs, roofed, roofs
from saddlepoint.verify.tracing import trace

DENSE = ((6,), lambda: [nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 7), nn.ReLU(), nn.Linear(7, 3)])
CONV = (
    (2, 7, 7),
    lambda: [
        *(nn.Conv2d(2, 3, 2, 1, 1), nn.ReLU(), nn.Conv2d(3, 4, 3, 2), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(36, 3)),
    ],
)
SHAPES = {"dense": DENSE, "conv": CONV}


def setting(kind: str, eps: float = 0.3) -> tuple[Network, Region, Bounds]:
    """Two samples of a net in float64."""
    shape, layers = SHAPES[kind]
    torch.manual_seed(3)
    net = trace(nn.Sequential(*layers()).double().eval().requires_grad_(False), shape)
    x = torch.rand(2, *shape, dtype=torch.float64)
    where = region(Linf(eps=eps), x)
    return net, where, crown(net, where)


def leaning(made: Roofs, seed: int) -> Roofs:
    draw = torch.Generator().manual_seed(seed)
    return {
        n: Cover(c.roof, torch.rand(c.s.shape, generator=draw, dtype=c.s.dtype))
        for n, c in made.items()
    }


def corners(where: Region, place: Tensor, size: int, middle: Tensor) -> Tensor:
    """Inputs at every corner of the box of some coordinates, the others in the middle."""
    low, high = (end.flatten(1)[0] for end in where.hull())
    found = middle.flatten().repeat(2 ** len(place), 1)
    for row, ends in zip(found, itertools.product((0, 1), repeat=len(place)), strict=True):
        row[place] = torch.where(torch.tensor(ends).bool(), high[place], low[place])
    return found[:, :size]


@pytest.mark.parametrize("kind", SHAPES)
def test_planes_lie_above_and_touch(kind: str) -> None:
    """relu is convex: over a box it comes closest to a plane at a corner."""
    net, where, bounds = setting(kind)
    (n,) = roofed(net, net.output)
    cover = leaning(roofs(net, where, net.output, bounds, 1), 0)[n]
    low, high = where.hull()
    one = Cover(cover.roof, cover.s)
    for k in range(0, cover.s.shape[2], 7):
        if not bool(cover.roof.real[0, k]):
            continue
        x = corners(where, cover.roof.place[0, k][:6], low[0].numel(), (low + high)[0] / 2)
        rest = cover.roof.place[0, k][6:]
        sign = cover.roof.weight[0, k][6:] >= 0
        x[:, rest] = torch.where(sign, high[0].flatten()[rest], low[0].flatten()[rest])
        batch = x.reshape(1, -1, *low.shape[1:])
        element = int(cover.roof.index[0, k])
        f = net.values(batch[0])[n].flatten(1)[:, element]
        two = Cover(_only(one.roof), cover.s[:1].expand(1, batch.shape[1], -1, -1))
        gap = two.at(batch)[0, :, k] - f
        assert float(gap.min()) >= -1e-12
        assert len(rest) or float(gap.min()) <= 1e-12


def _only(roof: object) -> object:
    """The first sample of a roof."""
    parts = {k: v[:1] for k, v in vars(roof).items() if isinstance(v, Tensor)}
    return replace(roof, **parts)  # type: ignore[type-var]


@pytest.mark.parametrize("kind", SHAPES)
def test_equal_shares_are_the_chord(kind: str) -> None:
    net, where, bounds = setting(kind)
    a = torch.randn(2, 4, 3, dtype=torch.float64)
    made = roofs(net, where, net.output, bounds, 4)
    plain = least(net, where, net.output, a, bounds)
    with_planes = least(net, where, net.output, a, bounds, Choice(roofs=made))
    assert_close(with_planes, plain)


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("seed", range(3))
def test_bounds_with_planes_hold(kind: str, seed: int) -> None:
    net, where, bounds = setting(kind)
    a = torch.randn(2, 4, 3, dtype=torch.float64)
    made = leaning(roofs(net, where, net.output, bounds, 4), seed)
    bound = least(net, where, net.output, a, bounds, Choice(roofs=made))
    low, high = where.hull()
    share = torch.rand(500, *low.shape, dtype=torch.float64).round(decimals=seed)
    out = net.forward((low + share * (high - low)).flatten(0, 1)).reshape(500, 2, 3)
    assert bool((torch.einsum("brk,nbk->nbr", a, out).amin(0) >= bound - 1e-12).all())


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("rows", [1, 3])
def test_slopes_are_those_of_automatic_differentiation(kind: str, rows: int) -> None:
    net, where, bounds = setting(kind)
    a = torch.randn(2, rows, 3, dtype=torch.float64)
    made = leaning(roofs(net, where, net.output, bounds, rows), 1)
    free = Free(a, initial(net, bounds, net.output, rows), {}, made)
    assert any(t.dim() == 4 for t in free.s.values())
    compare(net, where, bounds, free, a)


def test_ascent_on_planes_gains() -> None:
    net, where, bounds = setting("conv")
    a = torch.randn(2, 4, 3, dtype=torch.float64)
    slopes = initial(net, bounds, net.output, 4)
    made = roofs(net, where, net.output, bounds, 4)
    run = Ascent(60)
    plain = run(net, where, net.output, a, bounds, slopes).bound
    better = run(net, where, net.output, a, bounds, slopes, roofs=made).bound
    assert float((better - plain).mean()) > 1e-3


@pytest.mark.parametrize("kind", SHAPES)
def test_refined_intervals_hold_and_are_tighter(kind: str) -> None:
    net, where, bounds = setting(kind)
    one = where[torch.tensor([0])]
    bounds = {n: x.take(torch.tensor([0])) for n, x in bounds.items()}
    plain, _ = Refine(lean=False)(net, one, bounds)
    tight, raised = Refine()(net, one, bounds)
    last = max(bounds)
    assert raised[last].s
    assert float(tight[last].width.mean()) < float(plain[last].width.mean())
    low, high = one.hull()
    x = low + torch.rand(2000, *low.shape[1:], dtype=torch.float64).round() * (high - low)
    value = net.values(x)[last]
    assert bool((value >= tight[last].low).all() & (value <= tight[last].high).all())


@pytest.mark.parametrize("kind", SHAPES)
def test_the_checker_has_the_same_planes(kind: str) -> None:
    """Derived twice: elements, inputs, and what coefficients become."""
    net, where, bounds = setting(kind)
    (n,) = roofed(net, net.output)
    source = net.nodes[n].inputs[0]
    one = where[torch.tensor([0])]
    first = {k: x.take(torch.tensor([0])) for k, x in bounds.items()}
    cover = leaning(roofs(net, one, net.output, first, 1), 2)[n]
    found = [(x[:1], x[:1]) for x in net.values(one.hull().low)]
    found[0], found[source] = one.hull(), (first[source].low, first[source].high)
    (theirs,) = checked.covers(net, found, {source: torch.ones(net.nodes[n].shape.numel()).bool()})
    assert theirs.elements.tolist() == cover.roof.index[0].tolist()
    down = -torch.rand(1, *net.nodes[n].shape, dtype=torch.float64)
    made = checked.roofed(net, found, [theirs], cover.s[0].flatten(1))[n]
    left, parts, constant = made.take(down)
    base = net.nodes[0].shape
    slope = torch.zeros(1, base.numel(), dtype=torch.float64)
    slope.scatter_add_(1, theirs.place.flatten()[None], parts.flatten(1))
    taken = down.flatten(1)[:, theirs.elements]
    assert_close(slope.reshape(1, 1, *base), cover.slope(taken[None], base))
    assert_close(constant[None], cover.constant(taken[None]))
    assert float(left.flatten(1)[:, theirs.elements].abs().max()) == 0


def test_only_boxes_carry_roofs() -> None:
    net, _, bounds = setting("dense")
    where = region(L2(eps=0.3), torch.rand(2, 6, dtype=torch.float64))
    assert not roofs(net, where, net.output, bounds, 1)
    assert not Refine().leans(net, where)
