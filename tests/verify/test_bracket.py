"""The distance of the nearest break, between certified and broken sizes."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from saddlepoint.attacks import APGD, FAB, FMN, Bisect
from saddlepoint.core.errors import Invalid, Unsupported
from saddlepoint.core.goal import Untargeted
from saddlepoint.core.nearest import nearest
from saddlepoint.threats import L1, L2, Linf
from saddlepoint.verify.distance import Distance
from saddlepoint.verify.ladder import Ladder
from saddlepoint.verify.milp import decide, smallest
from saddlepoint.verify.region import region
from saddlepoint.verify.tracing import trace
from tests.verify.patterns import by_enumeration, tiny
from tests.verify.test_milp import leaving, point

CLOSE = Distance(tolerance=0.01, seconds=10)
SLOW = pytest.mark.slow
ROUGH = Distance(tolerance=0.05, seconds=3)


@pytest.mark.parametrize("seed", range(4))
def test_the_bracket_holds_the_distance_of_all_patterns(seed: int) -> None:
    net, x = tiny(seed), point(seed, 3)
    y = int(net(x).argmax())
    found = CLOSE(trace(net, (3,)), Linf(eps=1.0), x, leaving(y))
    exact = by_enumeration(net, x[0], y, 1.0).distance
    if math.isinf(exact):
        assert (found.upper, found.x) == (math.inf, None)
        return
    assert found.state == "closed"
    assert found.lower - 1e-6 <= exact <= found.upper + 1e-6
    assert found.upper - found.lower <= 0.01 * found.upper
    assert found.x is not None
    assert int(net.double()(found.x).argmax()) != y
    assert float((found.x - x).abs().max()) == pytest.approx(found.upper, abs=1e-6)


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(k, marks=SLOW) for k in range(2, 8))])
def test_programs_and_brackets_agree_at_any_size(seed: int) -> None:
    net, x = tiny(seed, (5, 4), inputs=4), point(seed, 4)
    y, network = int(net(x).argmax()), trace(net, (4,))
    found = CLOSE(network, Linf(eps=1.0), x, leaving(y))
    sizes = torch.rand(4, generator=torch.Generator().manual_seed(seed)) * min(1, 2 * found.upper)
    for eps in sizes.tolist():
        answer = decide(network, region(Linf(eps=eps), x), leaving(y))
        assert answer.state == "optimal"
        if eps <= found.lower:
            assert answer.value <= 1e-5
        if eps >= found.upper:
            assert answer.bound >= -1e-5


@pytest.mark.parametrize(
    ("threat", "dual"), [(Linf(eps=1.0), 1), (L2(eps=2.0), 2), (L1(eps=4.0), math.inf)]
)
def test_a_linear_model_has_its_closed_form(threat: Any, dual: float) -> None:  # noqa: ANN401
    layer = nn.Linear(4, 2).requires_grad_(False)
    layer.weight.copy_(torch.tensor([[1.0, -2.0, 0.5, 0.3], [0.2, 1.0, -0.5, 0.1]]))
    layer.bias.copy_(torch.tensor([1.5, 0.0]))
    x = torch.full((1, 4), 0.5)
    w = layer.weight[1] - layer.weight[0]
    margin = float(layer(x)[0, 0] - layer(x)[0, 1])
    wide = type(threat)(eps=threat.eps, box=(-5.0, 5.0))
    found = CLOSE(trace(layer, (4,)), wide, x, leaving(0, 2))
    exact = margin / float(torch.linalg.vector_norm(w, dual))
    assert found.lower - 1e-6 <= exact <= found.upper + 1e-6
    assert found.upper <= found.lower * 1.0102


@pytest.mark.parametrize("threat", [Linf(eps=1.0), L2(eps=2.0)], ids=["Linf", "L2"])
@pytest.mark.parametrize("seed", [0, *(pytest.param(k, marks=SLOW) for k in range(1, 6))])
def test_attack_exact_bound_in_this_order(seed: int, threat: Any) -> None:  # noqa: ANN401
    net = tiny(seed, (6, 5), inputs=4)
    x = torch.rand(2, 4, generator=torch.Generator().manual_seed(seed))
    y, network = net(x).argmax(1), trace(net, (4,))
    sizes = [
        nearest(attack, net, x, y, threat).size for attack in (FMN(), FAB(), Bisect(APGD(steps=30)))
    ]
    for i in range(2):
        spec = leaving(int(y[i]))
        found = ROUGH(network, threat, x[i : i + 1], spec)
        assert all(float(size[i]) >= found.lower - 1e-6 for size in sizes)
        if isinstance(threat, Linf):
            near = smallest(network, x[i : i + 1], region(threat, x[i : i + 1]), spec)
            assert near.lower <= found.upper + 1e-5
            assert found.lower <= near.upper + 1e-5
            assert all(float(size[i]) >= near.lower - 1e-5 for size in sizes)


def test_a_known_break_is_where_it_starts() -> None:
    net, x = tiny(0), point(0, 3)
    y, network = int(net(x).argmax()), trace(net, (3,))
    alone = CLOSE(network, Linf(eps=1.0), x, leaving(y))
    assert alone.x is not None
    again = CLOSE(network, Linf(eps=1.0), x, leaving(y), known=alone.x)
    assert again.lower <= alone.upper
    assert alone.lower <= again.upper <= alone.upper
    with pytest.raises(Invalid, match="a member of the set that breaks"):
        CLOSE(network, Linf(eps=1.0), x, leaving(y), known=x)
    with pytest.raises(Invalid, match="a member of the set that breaks"):
        CLOSE(network, Linf(eps=alone.lower / 2), x, leaving(y), known=alone.x)


def test_a_set_without_breaks_is_certified_whole() -> None:
    net, x = tiny(0), point(0, 3)
    y, network = int(net(x).argmax()), trace(net, (3,))
    exact = by_enumeration(net, x[0], y, 1.0).distance
    found = CLOSE(network, Linf(eps=exact * 0.9), x, leaving(y))
    assert (found.state, found.upper, found.x) == ("none", math.inf, None)
    assert found.lower == pytest.approx(exact * 0.9)


def test_a_wrong_sample_is_at_distance_zero() -> None:
    net, x = tiny(0), point(0, 3)
    found = CLOSE(trace(net, (3,)), L2(eps=0.5), x, leaving(int(net(x).argmin())))
    assert (found.state, found.lower, found.upper) == ("closed", 0.0, 0.0)
    assert torch.equal(found.x, x.double())  # type: ignore[arg-type]


def test_a_spent_budget_leaves_an_honest_bracket() -> None:
    net, x = tiny(5, (10, 10), inputs=6), point(5, 6)
    y, network = int(net(x).argmax()), trace(net, (6,))
    short = Distance(tolerance=1e-4, ladder=Ladder(subproblems=1))(
        network, Linf(eps=1.0), x, leaving(y)
    )
    long = ROUGH(network, Linf(eps=1.0), x, leaving(y))
    assert short.state == "limit"
    assert short.lower <= long.upper
    assert long.lower <= short.upper


def test_bad_input_is_explained() -> None:
    net, x = trace(tiny(0), (3,)), point(0, 3)
    with pytest.raises(Invalid, match="tolerance"):
        Distance(tolerance=0)
    with pytest.raises(Invalid, match="seconds"):
        Distance(seconds=0)
    with pytest.raises(Invalid, match="one sample at a time"):
        CLOSE(net, Linf(eps=0.1), x.repeat(2, 1), leaving(0))
    with pytest.raises(Unsupported):
        CLOSE(net, object(), x, leaving(0))


def test_leaving_is_the_goal_of_the_attacks() -> None:
    """The margins here and those that an attack climbs have one zero."""
    net, x = tiny(3), torch.rand(20, 3, generator=torch.Generator().manual_seed(0))
    goal = Untargeted(torch.ones(20, dtype=torch.int64))
    rows = torch.einsum("rk,bk->br", leaving(1).weight[0], net(x))
    torch.testing.assert_close(rows.amax(1), goal.margin(net(x)))
