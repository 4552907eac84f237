"""Mixed precision: the pass that learns reaches every weight, whatever the search asked before.

Autocast keeps the casts of weights that it made. Made while no graph was recorded, they would cut
the outer pass off from the weights, and training would go on without learning.
"""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from saddlepoint import PGD, Linf, WorstOf
from saddlepoint.core.draw import Draw
from saddlepoint.models import build
from saddlepoint.train import (
    AWP,
    IBP,
    MART,
    MTLIBP,
    TRADES,
    Free,
    Inner,
    Madry,
    Natural,
    RobustLoss,
)
from saddlepoint.train.bounded import live
from saddlepoint.train.losses import evaluating, without_graph
from saddlepoint.train.worst import Adversary

OBJECTIVES = [Natural(), Madry(), TRADES(), MART(), Free(), AWP(), AWP(TRADES(), gamma=0.05)]
OBJECTIVES += [IBP(), MTLIBP()]


def problem() -> tuple[nn.Module, Tensor, Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(8)
        net = nn.Sequential(
            nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(),
            nn.Linear(6 * 36, 16), nn.ReLU(), nn.Linear(16, 5),
        )  # fmt: skip
        return net, torch.rand(32, 1, 6, 6), torch.arange(32) % 5


def gradients(
    objective: RobustLoss,
    attack: Any,  # noqa: ANN401
    keep: Any,  # noqa: ANN401
    half: bool,
) -> dict[str, Tensor]:
    net, x, y = problem()
    inner = Inner(Linf(eps=0.05), attack, keep=keep)
    worst = Adversary(inner, Draw.of(1, torch.arange(32)), net, net)
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        loss = objective(net, x, y, worst)
    assert loss.dtype == torch.float32
    loss.backward()
    got = {n: p.grad for n, p in net.named_parameters()}
    assert [n for n, g in got.items() if g is None] == []
    return {n: g for n, g in got.items() if g is not None}


@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
@pytest.mark.parametrize("attack", [PGD(steps=2, step_size=0.5), WorstOf(k=3)], ids=repr)
@pytest.mark.parametrize("keep", ["worst", "last"])
def test_the_outer_gradient_is_that_of_float32(
    objective: RobustLoss,
    attack: Any,  # noqa: ANN401
    keep: str,
) -> None:
    exact, fast = (gradients(objective, attack, keep, half) for half in (False, True))
    for name, g in exact.items():
        h = fast[name]
        assert h.dtype == torch.float32
        assert h.abs().sum() > 0
        if name == "0.bias":
            continue  # batch norm takes it away: its gradient is rounding
        cosine = nn.functional.cosine_similarity(g.flatten(), h.flatten(), dim=0)
        assert cosine > 0.95, name
        assert 0.8 < float(h.norm() / g.norm()) < 1.25, name


def test_without_a_graph_leaves_no_cast_behind() -> None:
    net, x, _ = problem()
    with torch.autocast("cpu", torch.bfloat16):
        with evaluating(net), without_graph("cpu"):
            assert not torch.is_autocast_cache_enabled()  # torch 2.13 tells such casts apart
            asked = net(x)
        assert torch.is_autocast_cache_enabled()
        out = net(x)
    assert (asked.dtype, asked.requires_grad) == (torch.bfloat16, False)
    out.float().sum().backward()
    assert all(p.grad is not None for p in net.parameters())


def test_without_a_graph_keeps_float32_where_autocast_is_off() -> None:
    net, x, _ = problem()
    with without_graph("cpu"):
        out = copy.deepcopy(net)(x)
        assert not torch.is_autocast_enabled("cpu")
    assert out.dtype == torch.float32
    assert torch.is_grad_enabled()


def test_a_residual_net_is_traced_in_float32_within_a_step() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = build("resnet9", (3, 32, 32), 10, {"width": 4})
    for m in net.modules():
        if isinstance(m, nn.BatchNorm2d):
            torch.nn.init.uniform_(m.running_mean, -1, 1)
            torch.nn.init.uniform_(m.running_var, 0.3, 2)
    with torch.autocast("cpu", torch.bfloat16):
        traced = live(net, (3, 32, 32))
    x = torch.rand(2, 3, 32, 32)
    with evaluating(net), torch.no_grad():
        torch.testing.assert_close(traced.forward(x), net(x), atol=1e-3, rtol=1e-3)
