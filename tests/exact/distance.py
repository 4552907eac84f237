"""Linear models whose nearest break is known: weights far from uniform, the box active."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from saddlepoint import nearest
from saddlepoint.core.goal import Goal, Targeted, Untargeted
from tests.exact.linear import inputs, weights

Array = np.ndarray[Any, Any]


def smallest(x: Array, g: Array, b: float, order: float) -> float:
    """The smallest ||u||_p with <g, u> = b and 0 <= x + u <= 1, in closed form up to a scalar.

    L_inf: u = clip(r sign g). L_2: u = clip(t g). L_1: coordinates filled in the order of |g|. L_0:
    whole coordinates in the order of what each can gain.
    """
    room, slope = np.where(g > 0, 1 - x, x), np.abs(g)
    if slope @ room <= b:
        return math.inf
    if order == 0:
        return float(np.searchsorted(np.sort(slope * room)[::-1].cumsum(), b, side="right") + 1)
    if order == 1:
        by_slope = np.argsort(-slope, kind="stable")
        gain = np.cumsum((slope * room)[by_slope])
        last = int(np.searchsorted(gain, b))
        before = gain[last - 1] if last else 0.0
        full = room[by_slope][:last].sum()
        return float(full + (b - before) / slope[by_slope][last])

    def point(t: float) -> Array:
        return np.minimum(t * (slope if order == 2 else np.ones_like(slope)), room)

    low, high = 0.0, 1e9
    for _ in range(400):
        t = (low + high) / 2
        low, high = (t, high) if slope @ point(t) < b else (low, t)
    return float(np.linalg.norm(point(high), order))


def affine(w: Tensor, x: Tensor, lead: float, dtype: torch.dtype) -> nn.Linear:
    """z = Wx + b, the first class ahead on every sample: by 1 on the closest one.

    That is the share ``lead`` of what the closest sample could gain in all of the box.
    """
    net = nn.Linear(w.shape[1], len(w)).to(dtype)
    scores = x.double() @ w.T
    ahead = (scores - scores[:, :1]).amax(0)
    room = torch.where(w > w[0], 1 - x.double()[:, None], x.double()[:, None])
    gain = ((w - w[0]).abs() * room).sum(2).amin(0)
    with torch.no_grad():
        one = lead * gain[1:].min()
        net.weight.copy_(w / one)
        net.bias.copy_(-(ahead + lead * gain) / one)
        net.bias[0] = 0
    return net


def exact(net: nn.Linear, x: Tensor, order: float) -> Tensor:
    """(B,) distance to the nearest other class; each is a half-space."""
    w, out = net.weight.detach().double().numpy(), net.double()(x.double()).detach().numpy()
    rivals = [
        [smallest(a, w[k] - w[0], z[0] - z[k], order) for k in range(1, len(w))]
        for a, z in zip(x.double().numpy(), out, strict=True)
    ]
    return torch.tensor(rivals).amin(1)


def ratios(attack: Any, kind: str, dims: int, ball: Any, **options: Any) -> Tensor:  # noqa: ANN401
    """(N,) exact distance over the one that the attack finds; 1 is all there is."""
    targeted, seed = options.pop("targeted", False), options.pop("seed", 0)
    classes = options.pop("classes", 3 if targeted else 2)
    lead, dtype = options.pop("lead", 0.1), options.pop("dtype", torch.float32)
    x = inputs(dims, seed).to(dtype)
    net = affine(weights(kind, classes, dims, seed), x, lead, dtype)
    if targeted:
        with torch.no_grad():
            net.bias[2] -= 1e6  # out of the race
    y = torch.zeros(len(x), dtype=torch.int64)
    goal: Goal = Targeted(y + 1, y) if targeted else Untargeted(y)
    order = getattr(ball, "order", 0.0)
    whole = ball(eps=dims ** (1 / order) if order else dims)
    found = nearest(attack, net, x, goal, whole, seed=seed, **options)
    assert found.error is None, found.error
    best = exact(net, x, order)
    assert bool(whole.contains(x, found.u, 1e-6).all())
    return best / found.size
