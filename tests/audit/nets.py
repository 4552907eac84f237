"""Small nets on digits: one as anybody would train it, one that learnt to hide behind a clip."""

import functools
from collections.abc import Callable

import torch
from torch import Tensor, nn

from saddlepoint.data import load_data
from saddlepoint.models.known_bad import Clipped
from tests.audit.conftest import Subject

N = 48
EPS = 0.3


def _fit(wrap: Callable[[nn.Module], nn.Module], moved: Callable[..., Tensor]) -> Subject:
    data = load_data("digits")
    x, y = data.split("train").batch(torch.arange(1297))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
        model = wrap(net)
        optimizer = torch.optim.Adam(net.parameters(), 1e-2)
        for _ in range(200):
            loss = nn.functional.cross_entropy(model(moved(model, x, y)), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return Subject(model.requires_grad_(False), *data.split("test").batch(torch.arange(N)))


@functools.cache
def natural() -> Subject:
    """An undefended net."""
    return _fit(lambda net: net, lambda _model, x, _y: x)


@functools.cache
def clipped() -> Subject:
    """A net trained with single steps through the true clip, against which they are half blind."""

    def step(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        u = torch.empty_like(x).uniform_(-EPS, EPS).requires_grad_()
        (g,) = torch.autograd.grad(nn.functional.cross_entropy(model(x + u), y), u)
        return (x + (u.detach() + 1.25 * EPS * g.sign()).clamp(-EPS, EPS)).clamp(0, 1)

    return _fit(lambda net: Clipped(net, EPS), step)
