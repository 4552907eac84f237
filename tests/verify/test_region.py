"""Hulls hold all members and are tight; the least value of a row is attained by a member."""

import pytest
import torch
from torch import Tensor

from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Unsupported
from saddlepoint.core.shapes import norm
from saddlepoint.threats import L0, L1, L2, Linf
from saddlepoint.threats.ball import Ball
from saddlepoint.verify.region import Around, Box, region

SHAPE = (2, 3, 2)
SETS = [
    *(Linf(eps=e) for e in (0.0, 0.1, 0.6)),
    *(L2(eps=e) for e in (0.0, 0.3, 1.5, 3.0)),
    *(L1(eps=e) for e in (0.0, 0.4, 3.0, 11.0)),
    Linf(eps=torch.tensor([0.0, 0.1, 0.5, 0.9])),
    L2(eps=torch.tensor([0.0, 0.1, 1.0, 3.0])),
    L1(eps=torch.tensor([0.0, 0.1, 1.0, 9.0])),
    L2(eps=1.0, box=(-1.0, 2.0)),
]


def centre(kind: torch.dtype = torch.float64) -> Tensor:
    """Images with pixels at both ends of the range."""
    x = torch.rand(4, *SHAPE, generator=torch.Generator().manual_seed(0), dtype=kind)
    return torch.where(x < 0.2, 0.0, torch.where(x > 0.8, 1.0, x)).to(kind)


def rows(count: int = 5) -> Tensor:
    draw = torch.Generator().manual_seed(1)
    return torch.randn(4, count, *SHAPE, generator=draw, dtype=torch.float64)


def samples(threat: Ball, x: Tensor) -> list[Tensor]:
    draw = Draw.of(0, torch.arange(4))
    us = [threat.sample(x, draw.tag("sample", i)) for i in range(10)]
    us += [threat.maximise(x, g) for g in rows(10).unbind(1)]
    return [x + u for u in us]


@pytest.mark.parametrize("threat", SETS, ids=str)
def test_a_hull_holds_all_members_and_is_tight_in_every_coordinate(threat: Ball) -> None:
    x = centre()
    low, high = region(threat, x).hull()
    for member in samples(threat, x):
        assert (member >= low - 1e-12).all()
        assert (member <= high + 1e-12).all()
    for i in range(x[0].numel()):
        e = torch.zeros(4, x[0].numel(), dtype=x.dtype)
        e[:, i] = 1
        for sign, end in ((1, high), (-1, low)):
            g = sign * e.view_as(x)
            reached = (x + threat.maximise(x, g)).flatten(1)[:, i]
            torch.testing.assert_close(reached, end.flatten(1)[:, i], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("threat", SETS, ids=str)
def test_the_least_value_is_attained_and_no_member_is_below(threat: Ball) -> None:
    x, a = centre(), rows()
    where = region(threat, x)
    least, best = where.least(a), where.minimiser(a)
    assert best.shape == a.shape
    torch.testing.assert_close((a * best).flatten(2).sum(2), least, rtol=1e-9, atol=1e-9)
    for member in samples(threat, x):
        value = (a * member[:, None]).flatten(2).sum(2)
        assert (least <= value + 1e-6).all()
    for r in range(a.shape[1]):
        u = best[:, r] - x
        assert threat.contains(x, u, 1e-6).all()


@pytest.mark.parametrize("threat", SETS, ids=str)
def test_the_gradient_of_the_least_value_is_its_minimiser(threat: Ball) -> None:
    where, a = region(threat, centre()), rows().requires_grad_()
    (g,) = torch.autograd.grad(where.least(a).sum(), a)
    torch.testing.assert_close(g, where.minimiser(a.detach()), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("threat", SETS, ids=str)
def test_climbing_stays_inside_and_goes_up(threat: Ball) -> None:
    x, g = centre(), rows(1)[:, 0]
    where = region(threat, x)
    at = x
    for _ in range(5):
        new = where.climb(at, g, 0.3)
        assert threat.contains(x, new - x, 1e-6).all()
        assert ((g * (new - at)).flatten(1).sum(1) >= -1e-9).all()
        at = new


@pytest.mark.parametrize("threat", SETS, ids=str)
def test_sub_batches_and_types(threat: Ball) -> None:
    where, a = region(threat, centre()), rows()
    pick = torch.tensor([3, 0, 3])
    torch.testing.assert_close(where[pick].least(a[pick]), where.least(a)[pick])
    single = where.to(torch.float32)
    assert single.hull().low.dtype == torch.float32
    torch.testing.assert_close(
        single.least(a.float()), where.least(a).float(), rtol=1e-4, atol=1e-4
    )


def test_a_ball_is_a_box_exactly_where_its_hull_is_all_of_it() -> None:
    x = centre()
    assert isinstance(region(Linf(eps=0.1), x), Box)
    for threat in (L2(eps=0.1), L1(eps=0.1)):
        assert isinstance(region(threat, x), Around)
        low, high = threat.hull(x)
        corner = torch.maximum(high - x, x - low)
        assert (norm(corner, threat.order) > 0.1 + 1e-3).all()


def test_other_threat_models_are_refused_in_words() -> None:
    with pytest.raises(Unsupported, match=r"L0.*convex set"):
        region(L0(eps=2), centre())
