"""Mixed-integer programs against enumeration, sampling, and branch and bound."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from saddlepoint.core.errors import Invalid, Unsupported
from saddlepoint.core.goal import Targeted, Untargeted
from saddlepoint.threats import L2, Linf
from saddlepoint.verify.distance import Distance
from saddlepoint.verify.milp import decide, smallest
from saddlepoint.verify.region import Box, region
from saddlepoint.verify.spec import Spec, margins
from saddlepoint.verify.tracing import trace
from tests.verify.patterns import by_enumeration, tiny


def leaving(y: int, classes: int = 3) -> Spec:
    return margins(Untargeted(torch.tensor([y])), classes, torch.zeros(1))


def point(seed: int, *shape: int) -> Tensor:
    return torch.rand(1, *shape, generator=torch.Generator().manual_seed(100 + seed))


@pytest.mark.parametrize("seed", range(4))
def test_the_optimum_is_that_of_all_patterns(seed: int) -> None:
    net, x = tiny(seed), point(seed, 3)
    y = int(net(x).argmax())
    answer = decide(trace(net, (3,)), region(Linf(eps=0.3), x), leaving(y))
    exact = by_enumeration(net, x[0], y, 0.3)
    assert answer.state == "optimal"
    assert answer.value == pytest.approx(exact.margin, abs=1e-5)
    assert answer.bound == pytest.approx(exact.margin, abs=1e-5)
    assert answer.gap >= 0
    assert answer.verdict == ("broken" if exact.margin > 0 else "holds")
    assert bool(((answer.x - x).abs() <= 0.3 + 1e-7).all())
    out = net.double()(answer.x)[0]
    assert float(out[torch.arange(3) != y].max() - out[y]) == pytest.approx(answer.value)


@pytest.mark.parametrize("seed", range(4))
def test_the_distance_is_that_of_all_patterns(seed: int) -> None:
    net, x = tiny(seed), point(seed, 3)
    y = int(net(x).argmax())
    near = smallest(trace(net, (3,)), x, region(Linf(eps=1.0), x), leaving(y))
    exact = by_enumeration(net, x[0], y, 1.0).distance
    if math.isinf(exact):
        assert (near.state, near.upper, near.x, near.gap) == ("infeasible", math.inf, None, 0)
        return
    assert near.state == "optimal"
    assert near.lower - 2e-6 <= exact <= near.upper + 2e-6
    assert near.gap <= 1.001e-3
    assert near.x is not None
    assert float((near.x - x).abs().max()) == pytest.approx(near.upper, abs=1e-7)
    out = net.double()(near.x)[0]
    assert float(out[torch.arange(3) != y].max() - out[y]) > -1e-5


class Both(nn.Module):
    """Concatenation, residuals, absolute values and the larger of two."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.out = nn.Linear(4, 4), nn.Linear(8, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        z = self.one(x).abs()
        z = self.two(torch.cat([z, x - 0.5], 1)) + x
        return self.out(torch.maximum(z, 0.5 - x))


def convolutions() -> nn.Module:
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1),
        nn.BatchNorm2d(2),
        nn.LeakyReLU(0.1),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(8, 4),
        nn.Hardtanh(-0.3, 0.4),
        nn.Linear(4, 3),
    )
    with torch.no_grad():
        net[1].running_mean.uniform_(-0.2, 0.2)
        net[1].running_var.uniform_(0.2, 0.6)
    return net


NETS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "both": (Both, (4,)),
    "convolutions": (convolutions, (1, 4, 4)),
    "relu6": (lambda: nn.Sequential(nn.Linear(4, 5), nn.ReLU6(), nn.Linear(5, 3)), (4,)),
}


@pytest.mark.parametrize("name", NETS)
def test_every_operator_is_encoded_as_it_computes(name: str) -> None:
    make, shape = NETS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        net = make().requires_grad_(False).eval()
    x, network = point(0, *shape), trace(net, shape)
    y = int(net(x).argmax())
    threat = Linf(eps=0.2)
    answer = decide(network, region(threat, x), leaving(y))
    assert answer.state == "optimal"
    # An encoding that says more or less than the net would leave a gap to the net's own margin.
    assert answer.gap < 1e-4
    generator = torch.Generator().manual_seed(1)
    low, high = threat.hull(x)
    inside = low + (high - low) * torch.rand(4000, *shape, generator=generator).round(decimals=1)
    assert float(leaving(y).margin(net(x))) <= answer.value
    rows = torch.einsum("rk,bk->br", leaving(y).weight[0], net(inside))
    assert float(rows.max()) <= answer.bound + 1e-5


@pytest.mark.parametrize("seed", range(3))
def test_a_target_is_reached_where_every_row_agrees(seed: int) -> None:
    net, x = tiny(seed, (5, 4)), point(seed, 3)
    least = int(net(x).argmin())
    spec = margins(Targeted(torch.tensor([least])), 3, x)
    assert spec.groups == 1
    network, where = trace(net, (3,)), region(Linf(eps=1.0), x)
    answer = decide(network, where, spec)
    assert answer.gap < 1e-5
    near = smallest(network, x, where, spec)
    assert near.state == ("optimal" if answer.value > 0 else "infeasible")
    bracket = Distance(tolerance=0.02)(network, Linf(eps=1.0), x, spec)
    if near.state == "optimal":
        assert bracket.lower <= near.upper + 1e-5
        assert near.lower <= bracket.upper + 1e-5
    else:
        assert bracket.upper == math.inf


def test_out_of_time_the_linear_bound_remains() -> None:
    net, x = tiny(0), point(0, 3)
    y = int(net(x).argmax())
    network, where = trace(net, (3,)), region(Linf(eps=1.0), x)
    full, none = (decide(network, where, leaving(y), seconds=s) for s in (60, 0))
    assert none.state == "limit"
    assert none.value <= full.value <= full.bound + 1e-6 <= none.bound + 2e-6
    assert none.verdict == "undecided"
    near = smallest(network, x, where, leaving(y), seconds=0)
    assert (near.state, near.lower, near.upper, near.gap) == ("limit", 0.0, math.inf, 1.0)


def test_what_is_broken_already_is_at_distance_zero() -> None:
    net, x = tiny(1), point(1, 3)
    wrong = int(net(x).argmin())
    near = smallest(trace(net, (3,)), x, region(Linf(eps=0.1), x), leaving(wrong))
    assert (near.state, near.lower, near.upper, near.gap) == ("optimal", 0.0, 0.0, 0.0)


def test_bad_input_is_explained() -> None:
    x, spec = point(0, 3), leaving(0)
    relu = trace(tiny(0), (3,))
    smooth = trace(nn.Sequential(nn.Linear(3, 3), nn.Sigmoid()).requires_grad_(False), (3,))
    with pytest.raises(Unsupported, match="sigmoid is not piecewise linear"):
        decide(smooth, region(Linf(eps=0.1), x), spec)
    with pytest.raises(Unsupported, match="needs a box"):
        decide(relu, region(L2(eps=0.1), x), spec)
    with pytest.raises(Invalid, match="one sample at a time"):
        decide(relu, region(Linf(eps=0.1), x.repeat(2, 1)), spec)
    with pytest.raises(Invalid, match="low <= high"):
        decide(relu, Box(x + 1, x), spec)
    with pytest.raises(Invalid, match="an input in the box"):
        smallest(relu, x + 1, region(Linf(eps=0.1), x), spec)
