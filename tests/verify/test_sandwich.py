"""Attack <= exact <= bound, for any model, set and bound."""

import random

import pytest
import torch
from nets import random_model
from torch import Tensor

from saddlepoint.core.draw import Draw
from saddlepoint.core.goal import Untargeted
from saddlepoint.threats import L1, L2, Linf
from saddlepoint.verify.alpha import Ascent, Slopes, initial
from saddlepoint.verify.crown import crown
from saddlepoint.verify.descend import descend
from saddlepoint.verify.ibp import ibp, ibp_margin
from saddlepoint.verify.interval import Interval
from saddlepoint.verify.network import Network
from saddlepoint.verify.planes import Choice, least, lower_rows
from saddlepoint.verify.region import Region, region
from saddlepoint.verify.spec import margins
from saddlepoint.verify.tracing import trace

ROUNDING = 2e-5  # of float32, relative to the numbers involved


def threat_for(seed: int) -> Linf | L2 | L1:
    r = random.Random(seed)  # noqa: S311 - no secret
    kind = r.choice((Linf, L2, L1))
    return kind(eps=r.choice((0.0, 0.01, 0.1, 0.3)) * {Linf: 1.0, L2: 2.0, L1: 4.0}[kind])


def members(threat: Linf | L2 | L1, x: Tensor, where: Region, seed: int) -> list[Tensor]:
    """Random members, and the minimisers of random directions, which are corners of the set."""
    found = [x]
    for i in range(4):
        found.append(x + threat.sample(x, Draw(seed, torch.arange(len(x))).tag(f"member {i}")))
    g = torch.randn(len(x), 4, *x.shape[1:], generator=torch.Generator().manual_seed(seed))
    return [*found, *where.minimiser(g).unbind(1)]


def attacked(net: Network, where: Region, xs: list[Tensor], a: Tensor) -> Tensor:
    """(B, R) the lowest value of each row that was found."""
    best = torch.stack([(a * net.forward(x)[:, None]).sum(2) for x in xs]).amin(0)
    zero = a.new_zeros(len(a), 1)
    for r in range(a.shape[1]):
        # The offset is out of reach: the descent does not stop at a break.
        x, _ = descend(net, where, xs[0], a[:, r : r + 1], zero + 1e3, 8)
        best[:, r] = torch.minimum(best[:, r], (a[:, r] * net.forward(x)).sum(1))
    return best


def assert_holds(inner: Tensor, bound: Tensor, scale: Tensor, what: str) -> None:
    room = ROUNDING * (1 + scale)
    assert (bound <= inner + room).all(), f"{what}: {float((bound - inner).max()):.3g} too high"


def check(seed: int) -> None:
    model, shape = random_model(seed)
    net = trace(model.requires_grad_(False), shape)
    draw = torch.Generator().manual_seed(seed)
    x = torch.rand(2, *shape, generator=draw)
    threat = threat_for(seed)
    where = region(threat, x)
    spec = margins(Untargeted(torch.tensor([0, 2])), 3, x)
    a = lower_rows(net, spec.weight)
    xs = members(threat, x, where, seed)
    with torch.no_grad():
        intervals, bounds = ibp(net, where.hull()), crown(net, where)
        lows = {
            "IBP": -ibp_margin(net, where.hull(), spec),
            "CROWN": least(net, where, net.output, a, bounds),
        }
        scale = torch.stack([v.flatten(1).abs().amax(1) for v in (*intervals[-1],)]).amax()
        inside(net, xs, dict(enumerate(intervals)), "IBP")
        inside(net, xs, bounds, "CROWN")
    slopes = initial(net, bounds, net.output, 2)
    lows["alpha"], *_ = Ascent(steps=4)(net, where, net.output, a, bounds, slopes)
    lows["any t"] = any_t(net, where, a, bounds, slopes, seed)
    inner = attacked(net, where, xs, a)
    for name, low in lows.items():
        assert_holds(inner, low, scale, f"seed {seed}, {threat}, {name}")


def inside(net: Network, xs: list[Tensor], bounds: dict[int, Interval], what: str) -> None:
    """Every value of every bounded node lies in its interval."""
    for x in xs:
        values = net.values(x)
        for n, (low, high) in bounds.items():
            room = ROUNDING * (1 + high.abs().amax() + low.abs().amax())
            assert (values[n] >= low - room).all(), f"{what}, node {n}"
            assert (values[n] <= high + room).all(), f"{what}, node {n}"


def any_t(
    net: Network, where: Region, a: Tensor, bounds: dict[int, Interval], slopes: Slopes, seed: int
) -> Tensor:
    """A bound with random t: every choice is sound."""
    draw = torch.Generator().manual_seed(seed)
    t = {
        n: tuple(
            None if s is None else torch.rand(s.shape, generator=draw).round(decimals=1)
            for s in pair
        )
        for n, pair in slopes.items()
    }
    with torch.no_grad():
        return least(net, where, net.output, a, bounds, Choice(t))


@pytest.mark.parametrize("seed", range(24))
def test_no_attack_crosses_a_bound(seed: int) -> None:
    check(seed)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", range(8))
def test_no_attack_crosses_a_bound_on_thousands_of_models(part: int) -> None:
    for seed in range(1000 + 400 * part, 1400 + 400 * part):
        check(seed)


def test_a_bound_that_is_too_high_is_seen() -> None:
    with pytest.raises(AssertionError, match="too high"):
        assert_holds(torch.zeros(1, 2), torch.full((1, 2), 1e-3), torch.ones(()), "a bound")
