"""Halving boxes: right on nets whose range is known, and never more than the bounds allow."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from saddlepoint.verify.bisect import Bisect
from saddlepoint.verify.network import Network
from saddlepoint.verify.region import Box
from saddlepoint.verify.spec import Spec
from saddlepoint.verify.tracing import trace


def network(sizes: tuple[int, ...], seed: int) -> Network:
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for inner, out in pairwise(sizes):
        layers += [nn.Linear(inner, out), nn.ReLU()]
    net = trace(nn.Sequential(*layers[:-1]).requires_grad_(False), sizes[:1])
    return net.to(torch.float64)


def above(limits: list[float]) -> Spec:
    """One sample for each limit: is the only output above it?"""
    d = -torch.tensor(limits, dtype=torch.float64)[:, None]
    return Spec(torch.ones(len(limits), 1, 1, dtype=torch.float64), d, torch.zeros(1).long())


def cube(samples: int, dimensions: int, half: float = 1.0) -> Box:
    high = torch.full((samples, dimensions), half, dtype=torch.float64)
    return Box(-high, high)


def lattice(net: Network, steps: int) -> Tensor:
    axis = torch.linspace(-1, 1, steps, dtype=torch.float64)
    return net.forward(torch.cartesian_prod(axis, axis)).flatten()


@pytest.mark.parametrize("seed", range(5))
def test_the_largest_output_is_bracketed(seed: int) -> None:
    """Slightly below the largest output of a fine lattice it is broken; slightly above, closed."""
    net = network((2, 12, 12, 1), seed)
    values = lattice(net, 401)
    top, gap = float(values.max()), 0.02 * float(values.max() - values.min())
    found = Bisect(seconds=60)(net, cube(3, 2), above([top - gap, top + gap, top + 50 * gap]))
    assert found.found.tolist() == [True, False, False]
    assert found.closed.tolist() == [False, True, True]
    assert net.forward(found.x[:1]).item() > top - gap


def test_two_rows_that_are_never_positive_together_need_halving() -> None:
    net = trace(lambda x: torch.cat([x, -x], 1).relu(), (1,))
    eye, d = torch.eye(2)[None], torch.full((1, 2), -0.01)
    box = Box(-torch.ones(1, 1), torch.ones(1, 1))
    both, either = torch.zeros(2).long(), torch.arange(2)
    assert Bisect(boxes=1)(net, box, Spec(eye, d, both)).closed.tolist() == [False]
    assert Bisect()(net, box, Spec(eye, d, both)).closed.tolist() == [True]
    assert Bisect()(net, box, Spec(eye, d, either)).found.tolist() == [True]


def test_budgets_end_the_search_undecided() -> None:
    net = network((2, 12, 12, 1), 0)
    limit = [float(lattice(net, 401).max()) + 1e-3]
    for how in (Bisect(boxes=5), Bisect(seconds=0)):
        found = how(net, cube(1, 2), above(limit))
        assert not found.closed.any()
        assert not found.found.any()
        assert found.spent <= 5


def test_samples_do_not_disturb_each_other() -> None:
    net = network((2, 12, 12, 1), 1)
    top = float(lattice(net, 401).max())
    limits = [top + 0.05, top - 0.05, top + 1, top - 1]
    together = Bisect(seconds=60, batch=3)(net, cube(4, 2), above(limits))
    for i, limit in enumerate(limits):
        alone = Bisect(seconds=60)(net, cube(1, 2), above([limit]))
        assert (together.closed[i], together.found[i]) == (alone.closed[0], alone.found[0])


def test_a_point_is_decided_by_one_bound() -> None:
    net = network((2, 12, 12, 1), 2)
    value = net.forward(torch.zeros(1, 2, dtype=torch.float64)).item()
    found = Bisect()(net, cube(2, 2, 0.0), above([value + 1e-9, value - 1e-9]))
    assert found.closed.tolist() == [True, False]
    assert found.found.tolist() == [False, True]
    assert found.spent == 2


@pytest.mark.parametrize("seed", range(3))
def test_what_is_closed_holds_at_random_points(seed: int) -> None:
    net = network((3, 8, 8, 1), seed)
    points = 2 * torch.rand(4000, 3, dtype=torch.float64) - 1
    values = net.forward(points).flatten()
    limits = torch.linspace(float(values.min()), float(values.max()) + 0.5, 12).tolist()
    found = Bisect(seconds=60, boxes=3000)(net, cube(12, 3), above(limits))
    for closed, broken, limit in zip(found.closed, found.found, limits, strict=True):
        assert not (closed and broken)
        assert not closed or not (values > limit).any()
    assert found.closed.any()
    assert found.found.any()
