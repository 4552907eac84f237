"""Linear models whose worst case is known: weights far from uniform, the box active."""

from typing import Any

import torch
from torch import Tensor, nn

from saddlepoint import Targeted, Untargeted, search
from saddlepoint.core.goal import Goal
from saddlepoint.core.shapes import dot, norm

WEIGHTS = ("normal", "heavy-tailed", "spread")
N = 6


def weights(kind: str, classes: int, dims: int, seed: int) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    w = torch.randn(classes, dims, generator=rng, dtype=torch.float64)
    if kind == "heavy-tailed":
        return w * (1.2 * torch.randn(classes, dims, generator=rng, dtype=torch.float64)).exp()
    if kind == "spread":
        return w.sign() * 10 ** (-2.5 * torch.rand(classes, dims, generator=rng).double())
    return w


def model(w: Tensor, x: Tensor, dtype: torch.dtype) -> nn.Linear:
    """z = Wx + b with the first class ahead by one and the third, if any, out of the race."""
    net = nn.Linear(w.shape[1], len(w)).to(dtype)
    clean = (x.double() @ w.T).mean(0)
    b = clean.max() - clean + torch.tensor([1.0, 0.0, -1e6][: len(w)])
    with torch.no_grad():
        net.weight.copy_(w)
        net.bias.copy_(b)
    return net


def inputs(dims: int, seed: int) -> Tensor:
    rng = torch.Generator().manual_seed(seed + 1)
    x = torch.rand(N, dims, generator=rng, dtype=torch.float64)
    snap = torch.rand(N, dims, generator=rng)
    x[snap < 0.2], x[snap > 0.8] = 0.0, 1.0
    return x


def radius(order: float, dims: int) -> float:
    """A radius at which the box cuts the ball without being all there is."""
    return {1.0: 0.15 * dims**0.5 + 0.5, 2.0: 0.06 * dims**0.5 + 0.2}.get(order, 0.1)


def shares(attack: Any, kind: str, dims: int, ball: Any, **options: Any) -> Tensor:  # noqa: ANN401
    """(N,) share of the best gain in margin that the attack reaches."""
    targeted, seed = options.pop("targeted", False), options.pop("seed", 0)
    dtype = options.pop("dtype", torch.float32)
    x = inputs(dims, seed).to(dtype)
    w = weights(kind, 3 if targeted else 2, dims, seed)
    net, threat = model(w, x, dtype), ball(eps=radius(ball.order, dims))
    y = torch.zeros(N, dtype=torch.int64)
    goal: Goal = Targeted(y + 1, y) if targeted else Untargeted(y)
    found = search(attack, net, x, goal, threat, early_stop=False, seed=seed, **options)
    g = (w[1] - w[0]).expand(N, dims)
    best = dot(g, threat.maximise(x.double(), g))
    gain = dot(g, found.u.double())
    assert bool(threat.contains(x, found.u, 1e-6).all())
    assert bool((gain <= best + 1e-5 * norm(g, 1)).all())
    return gain / best
