"""N-FGSM against its formula."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from saddlepoint import L1, L2, Linf, Quantize
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Unsupported
from saddlepoint.core.goal import Untargeted
from saddlepoint.core.threat import ThreatModel
from saddlepoint.train import NFGSM, Inner
from saddlepoint.train.lean import Lean


def problem(n: int = 40) -> tuple[nn.Module, Tensor, Tensor, Draw]:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        net = nn.Sequential(nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 3))
        x = torch.rand(n, 12)
    x[:4], x[4:8] = 0.0, 1.0
    return net, x, torch.arange(n) % 3, Draw.of(7, torch.arange(n))


def gradient(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    (g,) = torch.autograd.grad(nn.functional.cross_entropy(net(x), y, reduction="sum"), x)
    return g


@pytest.mark.parametrize("noise", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("step_size", [1.0, 1.25])
def test_linf_is_noise_and_one_sign_step(noise: float, step_size: float) -> None:
    net, x, y, draw = problem()
    eps = 0.1
    x_adv = Inner(Linf(eps=eps), NFGSM(noise, step_size), keep="last")(net, x, y, draw=draw)
    low, high = -x.double().numpy(), (1 - x).double().numpy()
    raw = draw.uniform(12, low=-1.0).double().numpy() * (noise * eps)
    n = np.clip(raw, low, high)
    g = gradient(net, x + torch.from_numpy(n).float(), y).double().numpy()
    u = np.clip(n + step_size * eps * np.sign(g), low, high)
    np.testing.assert_allclose((x_adv - x).double().numpy(), u, atol=2e-7)
    assert float((x_adv - x).abs().max()) <= (noise + step_size) * eps + 1e-6


def test_linf_leaves_the_set_but_never_the_input_range() -> None:
    net, x, y, draw = problem()
    x_adv = Inner(Linf(eps=0.1), NFGSM(), keep="last")(net, x, y, draw=draw)
    size = (x_adv - x).abs()
    assert 0.2 < float(size.max()) <= 0.3 + 1e-6
    assert float(x_adv.min()) >= 0
    assert float(x_adv.max()) <= 1


def test_the_gradient_is_taken_at_the_noise_and_asked_for_once() -> None:
    net, x, y, draw = problem()
    seen: list[Tensor] = []
    net.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
    Inner(Linf(eps=0.1), NFGSM(noise=2.0), keep="last")(net, x, y, draw=draw)
    (asked,) = seen
    assert 0.15 < float((asked - x).abs().max()) <= 0.2 + 1e-6


@pytest.mark.parametrize(("threat", "order"), [(L2(eps=0.3), 2), (L1(eps=0.6), 1)], ids=repr)
def test_other_balls_stay_within_three_radii(threat: L2 | L1, order: int) -> None:
    net, x, y, draw = problem()
    x_adv = Inner(threat, NFGSM(), keep="last")(net, x, y, draw=draw)
    size = torch.linalg.vector_norm((x_adv - x).double(), order, dim=1) / threat.eps
    assert 1.1 < float(size.max()) <= 3 + 1e-5
    assert float(x_adv.min()) >= 0
    assert float(x_adv.max()) <= 1


def test_l2_by_hand() -> None:
    net, x, y, draw = problem()
    x = 0.3 + 0.4 * x  # far from the input range, where nothing is cut
    ball = L2(eps=0.05)
    x_adv = Inner(ball, NFGSM(noise=1.5), keep="last")(net, x, y, draw=draw)
    n = 1.5 * ball.sample(x, draw)
    g = gradient(net, x + n, y)
    step = 0.05 * g / g.norm(dim=1, keepdim=True)
    torch.testing.assert_close(x_adv, x + n + step, atol=1e-6, rtol=0)


def test_a_radius_as_large_as_the_input_range_is_no_error() -> None:
    net, x, y, draw = problem()
    x_adv = Inner(Linf(eps=0.8), NFGSM(), keep="last")(net, x, y, draw=draw)
    assert 0 <= float(x_adv.min()) <= float(x_adv.max()) <= 1
    assert float((x_adv - x).abs().max()) > 0.9


def test_on_the_grid_of_bytes() -> None:
    net, x, y, draw = problem()
    x = (x * 255).round() / 255
    x_adv = Inner(Quantize(Linf(eps=8 / 255)), NFGSM(), keep="last")(net, x, y, draw=draw)
    steps = (x_adv - x) * 255
    torch.testing.assert_close(steps, steps.round(), atol=1e-4, rtol=0)
    assert 8 < float(steps.abs().max()) <= 24 + 1e-4


class NoRadius:
    """Nested sets without a number of their own."""

    start = sample = project = steepest = apply = contains = __getitem__ = size = at = print


@pytest.mark.parametrize("kind", ["none", "each", "not nested"])
def test_sets_without_one_radius_are_refused(kind: str) -> None:
    net, x, y, draw = problem(4)
    sets = {"none": NoRadius(), "each": Linf(eps=torch.full((4,), 0.1))}
    if kind == "not nested":

        class Plain:
            start = sample = project = steepest = apply = contains = __getitem__ = print

        with pytest.raises(Unsupported, match="Graded"):
            Inner(Plain(), NFGSM())
        return
    threat: ThreatModel = sets[kind]  # type: ignore[assignment]
    oracle = Lean(net, x, Untargeted(y), Linf(eps=0.1))
    oracle.threat = threat  # type: ignore[assignment]
    with pytest.raises(Unsupported, match=r"one radius, such as Linf"):
        NFGSM()(oracle, draw)  # type: ignore[arg-type]
