"""IBP and CROWN as their papers define them, written again in numpy, and exact optima."""

import itertools

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from saddlepoint.core.goal import Untargeted
from saddlepoint.threats import L1, L2, Linf
from saddlepoint.verify.crown import crown
from saddlepoint.verify.ibp import ibp, ibp_margin
from saddlepoint.verify.network import Network
from saddlepoint.verify.planes import least, lower_rows
from saddlepoint.verify.region import Box, region
from saddlepoint.verify.spec import margins
from saddlepoint.verify.tracing import trace

Array = NDArray[np.float64]
Layers = list[tuple[Array, Array]]
EPS = 0.15
SIZES = (4, 6, 5, 3)


def layers(seed: int) -> Layers:
    draw = np.random.default_rng(seed)
    pairs = itertools.pairwise(SIZES)
    return [(draw.normal(size=(m, n)), draw.normal(size=m)) for n, m in pairs]


def traced(weights: Layers) -> Network:
    parts: list[nn.Module] = []
    for w, b in weights:
        linear = nn.Linear(w.shape[1], w.shape[0]).double().requires_grad_(False)
        linear.weight.copy_(torch.from_numpy(w))
        linear.bias.copy_(torch.from_numpy(b))
        parts += [linear, nn.ReLU()]
    return trace(nn.Sequential(*parts[:-1]), (SIZES[0],))


def point(seed: int) -> Array:
    return np.random.default_rng(seed + 100).uniform(0.2, 0.8, SIZES[0])


def ibp_by_definition(weights: Layers, x: Array) -> list[tuple[Array, Array]]:
    """Pre-activation intervals: mu = W mu + b, r = |W| r, with ReLU of the ends between layers
    (1810.12715, equation 6)."""
    mu, r, found = x, np.full_like(x, EPS), []
    for i, (w, b) in enumerate(weights):
        if i:
            low, high = np.maximum(mu - r, 0), np.maximum(mu + r, 0)
            mu, r = (high + low) / 2, (high - low) / 2
        mu, r = w @ mu + b, np.abs(w) @ r
        found.append((mu - r, mu + r))
    return found


def crown_by_definition(
    weights: Layers, x: Array, row: Array, bounds: list[tuple[Array, Array]]
) -> float:
    """Lower bound of <row, output>: Lambda and Omega of theorem 3.2 and the adaptive slope of
    section 3.3 (1811.00866), with |x - x0| <= eps."""
    a, constant = row, 0.0
    for i in range(len(weights) - 1, -1, -1):
        w, b = weights[i]
        constant += a @ b
        a = a @ w
        if not i:
            break
        scaled = np.empty_like(a)
        for j, (low, high) in enumerate(zip(*bounds[i - 1], strict=True)):
            if high <= 0:
                scaled[j] = 0.0
            elif low >= 0:
                scaled[j] = a[j]
            elif a[j] >= 0:  # the line below: slope 1 where high > -low, 0 elsewhere
                scaled[j] = a[j] * float(high > -low)
            else:  # the line above: through (low, 0) and (high, high)
                slope = high / (high - low)
                scaled[j] = a[j] * slope
                constant += a[j] * -slope * low
        a = scaled
    return float(a @ x - EPS * np.abs(a).sum() + constant)


def crown_intervals(weights: Layers, x: Array) -> list[tuple[Array, Array]]:
    """CROWN for every layer before the last, each from the ones before."""
    by_interval = ibp_by_definition(weights, x)
    found = [by_interval[0]]
    for k in range(1, len(weights) - 1):
        eye = np.eye(len(weights[k][1]))
        low = np.array([crown_by_definition(weights[: k + 1], x, e, found) for e in eye])
        high = -np.array([crown_by_definition(weights[: k + 1], x, -e, found) for e in eye])
        wide = (by_interval[k][0] < 0) & (by_interval[k][1] > 0)  # others stay as they are
        ibp_low, ibp_high = ibp_from(weights[k], found[k - 1])
        low = np.where(wide, np.maximum(low, ibp_low), ibp_low)
        high = np.where(wide, np.minimum(high, ibp_high), ibp_high)
        found.append((low, high))
    return found


def ibp_from(layer: tuple[Array, Array], before: tuple[Array, Array]) -> tuple[Array, Array]:
    low, high = np.maximum(before[0], 0), np.maximum(before[1], 0)
    w, b = layer
    mu, r = w @ (high + low) / 2 + b, np.abs(w) @ (high - low) / 2
    return mu - r, mu + r


@pytest.mark.parametrize("seed", range(8))
def test_ibp_is_that_of_its_paper(seed: int) -> None:
    weights, x = layers(seed), point(seed)
    where = torch.from_numpy(x)[None]
    found = ibp(traced(weights), region(Linf(eps=EPS), where).hull())
    for k, (low, high) in enumerate(ibp_by_definition(weights, x)):
        np.testing.assert_allclose(found[1 + 2 * k].low[0].numpy(), low, atol=1e-6)
        np.testing.assert_allclose(found[1 + 2 * k].high[0].numpy(), high, atol=1e-6)


@pytest.mark.parametrize("seed", range(8))
def test_ibp_margins_are_those_of_the_elided_last_layer(seed: int) -> None:
    """The last layer's matrix is C W (1810.12715, section 3)."""
    weights, x = layers(seed), point(seed)
    where = torch.from_numpy(x)[None]
    spec = margins(Untargeted(torch.tensor([seed % 3])), 3, where)
    c = spec.weight[0].numpy()
    w, b = weights[-1]
    merged = [*weights[:-1], (c @ w, c @ b)]
    found = ibp_margin(traced(weights), region(Linf(eps=EPS), where).hull(), spec)
    np.testing.assert_allclose(found[0].numpy(), ibp_by_definition(merged, x)[-1][1], atol=1e-6)


@pytest.mark.parametrize("seed", range(8))
def test_crown_is_that_of_its_paper(seed: int) -> None:
    weights, x = layers(seed), point(seed)
    net, where = traced(weights), region(Linf(eps=EPS), torch.from_numpy(x)[None])
    bounds = crown(net, where)
    theirs = crown_intervals(weights, x)
    for k, (low, high) in enumerate(theirs):
        np.testing.assert_allclose(bounds[1 + 2 * k].low[0].numpy(), low, atol=1e-6)
        np.testing.assert_allclose(bounds[1 + 2 * k].high[0].numpy(), high, atol=1e-6)
    spec = margins(Untargeted(torch.tensor([seed % 3])), 3, torch.from_numpy(x)[None])
    a = lower_rows(net, spec.weight)
    found = least(net, where, net.output, a, bounds)[0].numpy()
    expected = [crown_by_definition(weights, x, row, theirs) for row in a[0].numpy()]
    np.testing.assert_allclose(found, expected, atol=1e-6)


LINEAR = [
    lambda: nn.Sequential(nn.Flatten(), nn.Linear(18, 3)),
    lambda: nn.Sequential(nn.Conv2d(2, 3, 2), nn.BatchNorm2d(3), nn.AvgPool2d(2), nn.Flatten()),
    lambda: nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), nn.Flatten(), nn.Linear(18, 3)),
]


@pytest.mark.parametrize("threat", [Linf(eps=0.1), L2(eps=0.5), L1(eps=1.0)], ids=str)
@pytest.mark.parametrize("make", LINEAR)
def test_bounds_of_linear_models_are_the_exact_optimum(make, threat) -> None:  # noqa: ANN001
    """f(x) = J x + c: the least of a row is that of the row times J over the set."""
    torch.manual_seed(0)
    model = make().eval().double().requires_grad_(False)
    x = torch.rand(4, 2, 3, 3, dtype=torch.float64)
    net, where = trace(model, (2, 3, 3)), region(threat, x)
    spec = margins(Untargeted(torch.tensor([0, 1, 2, 0])), 3, x)
    a = lower_rows(net, spec.weight)
    found = least(net, where, net.output, a, crown(net, where))
    jacobian = torch.func.jacrev(lambda t: model(t[None])[0])(x[0])
    j = torch.einsum("brk,kchw->brchw", a, jacobian)
    constant = torch.einsum("brk,k->br", a, model(torch.zeros(1, 2, 3, 3).double())[0])
    torch.testing.assert_close(found, where.least(j) + constant, rtol=1e-9, atol=1e-9)
    reached = torch.stack([(a[:, r] * model(where.minimiser(j)[:, r])).sum(1) for r in range(2)], 1)
    torch.testing.assert_close(found, reached, rtol=1e-6, atol=1e-6)


def test_intervals_of_one_linear_layer_are_exact_for_a_box() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(6, 3).double().requires_grad_(False)
    low = torch.rand(4, 6, dtype=torch.float64)
    box = Box(low, low + torch.rand(4, 6, dtype=torch.float64))
    net = trace(layer, (6,))
    spec = margins(Untargeted(torch.tensor([0, 1, 2, 0])), 3, low)
    corners = torch.tensor(list(itertools.product((0, 1), repeat=6)), dtype=torch.bool)
    values = torch.stack([layer(torch.where(c, box.high, box.low)) for c in corners])
    worst = torch.einsum("brk,nbk->nbr", spec.weight, values).amax(0)
    torch.testing.assert_close(ibp_margin(net, box.hull(), spec), worst)
    bound = -least(net, box, net.output, lower_rows(net, spec.weight), {})
    torch.testing.assert_close(bound, worst)
