"""Subproblems as tensors: splits become intervals and multipliers that belong together."""

import pytest
import torch
from torch import nn

from saddlepoint.core.goal import Untargeted
from saddlepoint.threats import Linf
from saddlepoint.verify.alpha import initial
from saddlepoint.verify.batch import Batch
from saddlepoint.verify.crown import crown
from saddlepoint.verify.planes import least, lower_rows
from saddlepoint.verify.problem import Problem, bent, problem_of, root
from saddlepoint.verify.region import region
from saddlepoint.verify.spec import margins
from saddlepoint.verify.tracing import trace
from saddlepoint.verify.tree import Split, Tree


def problem() -> tuple[Problem, nn.Module, torch.Tensor]:
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(3, 4), nn.Hardtanh(-0.3, 0.4), nn.Linear(4, 2))
    model.requires_grad_(False)
    network, x = trace(model, (3,)), torch.rand(1, 3)
    where, spec = (
        region(Linf(eps=1.0, box=(-3.0, 3.0)), x),
        margins(Untargeted(torch.tensor([0])), 2, x),
    )
    bounds = crown(network, where)
    a = lower_rows(network, spec.weight)
    low = least(network, where, network.output, a, bounds)
    slopes = initial(network, bounds, network.output, 1)
    return problem_of(network, where, spec, bounds, slopes, low, 1e-5), model, x


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_an_element_may_be_cut_on_both_sides(order: tuple[int, int]) -> None:
    given, _, _ = problem()
    cuts = ((Split(1, 2, 0.4), 1), (Split(1, 2, -0.3), -1))
    leaf = root(given, Tree(), 0, bent(given))
    leaf.path, leaf.beta = tuple(cuts[i] for i in order), (0.25, 0.75)
    batch = Batch.of(given, [leaf], bent(given))
    low, high = (end.flatten()[2] for end in batch.bounds[1])
    assert float(low) == pytest.approx(-0.3)
    assert float(high) == pytest.approx(0.4)
    multiplier = batch.multipliers[1]
    assert multiplier.at is not None
    assert float(multiplier.sign[0, 2]) == cuts[order[1]][1]
    assert float(multiplier.at[0, 2]) == pytest.approx(cuts[order[1]][0].at)
    assert float(multiplier.value[0, 0, 2]) == 0.75


def test_bounds_with_cuts_hold_where_the_cuts_do() -> None:
    given, model, x = problem()
    generator = torch.Generator().manual_seed(0)
    some = x + 2 * torch.rand(4000, 3, generator=generator) - 1
    z = model[0](some)
    rows = (given.a[0] @ model(some).T) + given.offset[0]
    for path in (
        ((Split(1, 2, 0.4), 1), (Split(1, 2, -0.3), -1)),
        ((Split(1, 0, -0.3), 1), (Split(1, 2, 0.4), -1), (Split(1, 2, 0.9), 1)),
    ):
        leaf = root(given, Tree(), 0, bent(given))
        leaf.path, leaf.beta = path, tuple(0.3 + 0.2 * i for i in range(len(path)))
        batch = Batch.of(given, [leaf], bent(given))
        args = given.network, batch.region, given.network.output, batch.row(), batch.bounds
        bound = least(*args, batch.choice()) + batch.shift()
        holds = torch.ones(len(some), dtype=torch.bool)
        for split, sign in path:
            holds &= sign * z[:, split.index] <= sign * split.at
        assert bool(holds.any())
        assert float(rows[:, holds].min()) >= float(bound) - 1e-5
