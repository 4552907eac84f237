"""Derivatives of bounds by one pass forward: the same as by automatic differentiation."""

import pytest
import torch
from nets import random_model
from torch import Tensor
from torch.testing import assert_close

from saddlepoint.threats import L2, Linf
from saddlepoint.verify.alpha import Free, Mixture, Multiplier, initial
from saddlepoint.verify.batch import Batch
from saddlepoint.verify.crown import crown
from saddlepoint.verify.interval import Bounds
from saddlepoint.verify.network import Network
from saddlepoint.verify.planes import Used, backward, frames
from saddlepoint.verify.region import Box, region
from saddlepoint.verify.tracing import trace


def multipliers(net: Network, bounds: Bounds, draw: torch.Generator) -> dict[int, Multiplier]:
    """Splits of random elements of every node where there may be any, some away from zero."""
    found = {}
    for n in sorted(bounds.keys() - net.prefix):
        shape = net.nodes[n].shape
        sign = torch.randint(-1, 2, (2, *shape), generator=draw).double()
        at = None if n % 2 else torch.rand(2, *shape, generator=draw).double() - 0.5
        value = torch.rand(2, 1, *shape, generator=draw).double() / 10
        found[n] = Multiplier(value, sign, at)
    return found


def anywhere(free: Free, draw: torch.Generator) -> None:
    """Random t: where a coefficient is zero, either line has a slope to show."""
    for t in free.t.values():
        t.copy_(torch.rand(t.shape, generator=draw).double())


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("seed", range(16))
def test_slopes_are_those_of_automatic_differentiation(seed: int, rows: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    model, shape = random_model(seed)
    net = trace(model.double().requires_grad_(False), shape)
    x = torch.rand(2, *shape, generator=draw).double()
    where = region(Linf(0.05) if seed % 2 else L2(0.3), x)
    with torch.no_grad():
        bounds = crown(net, where)
    slopes = initial(net, bounds, net.output, rows)
    a = torch.randn(2, rows, *net.nodes[-1].shape, generator=draw).double()
    free = Free(a, slopes, multipliers(net, bounds, draw))
    anywhere(free, draw)
    compare(net, where, bounds, free, a)


@pytest.mark.parametrize("seed", range(4))
def test_slopes_by_the_weights_of_a_mixture(seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    model, shape = random_model(seed)
    net = trace(model.double().requires_grad_(False), shape)
    where = region(Linf(0.05), torch.rand(2, *shape, generator=draw).double())
    with torch.no_grad():
        bounds = crown(net, where)
    a = torch.randn(2, 3, *net.nodes[-1].shape, generator=draw).double()
    offset = torch.randn(2, 3, generator=draw).double()

    weights = torch.rand(2, 3, generator=draw).double() + 0.1
    batch = Batch(where, a, offset, weights, bounds, {}, {}, ())
    mixture = Mixture(batch.row, batch.shift, weights, batch.rise)
    free = Free(mixture, initial(net, bounds, net.output), {})
    anywhere(free, draw)
    compare(net, where, bounds, free, mixture)


def compare(net: Network, where: object, bounds: Bounds, free: Free, a: Tensor | Mixture) -> None:
    made = frames(net, bounds, net.output)
    if not free.tensors:
        pytest.skip("nothing is free in this network")
    for t in free.tensors:
        t.requires_grad_()
    row, shift = free.row(a)
    seen: dict[int, Used] = {}
    plane = backward(net, net.output, row, bounds, free.choice(made), seen)
    bound = where.least(plane.slope) + plane.constant + shift  # type: ignore[attr-defined]
    expected = torch.autograd.grad(bound.sum(), free.tensors, materialize_grads=True)
    for t in free.tensors:
        t.requires_grad_(False)
    with torch.no_grad():
        still = {n: u._replace(lines=_still(u)) for n, u in seen.items()}
        best = where.minimiser(plane.slope.detach())  # type: ignore[attr-defined]
        if isinstance(where, Box):  # of equal ends automatic differentiation takes the middle
            best = torch.where(plane.slope == 0, (where.low + where.high)[:, None] / 2, best)
        found = free.rises(net, net.output, best, still, made)
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert_close(ours, theirs, rtol=1e-6, atol=1e-9)


def _still(used: Used) -> object:
    lines = used.lines
    return type(lines)(*(None if v is None else v.detach() for v in lines))
