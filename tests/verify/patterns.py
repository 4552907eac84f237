"""A ReLU net by enumeration: one linear program for every activation pattern."""

import itertools
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import linprog
from torch import Tensor, nn

__all__ = ["Exact", "by_enumeration", "tiny"]


class Exact(NamedTuple):
    """Largest margin z_k - z_y over the box; smallest Linf change to a tie, infinite if none."""

    margin: float
    distance: float


def tiny(
    seed: int, hidden: tuple[int, ...] = (4, 3), inputs: int = 3, classes: int = 3
) -> nn.Module:
    """A net whose activations change within the unit box."""
    generator = torch.Generator().manual_seed(seed)
    layers: list[nn.Module] = []
    sizes = [inputs, *hidden, classes]
    for a, b in itertools.pairwise(sizes):
        layer = nn.Linear(a, b)
        with torch.no_grad():
            layer.weight.copy_(torch.randn(b, a, generator=generator) * (2 / a) ** 0.5)
            layer.bias.copy_(-0.5 * layer.weight.sum(1) + 0.2 * torch.randn(b, generator=generator))
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1]).requires_grad_(False).eval()


def by_enumeration(net: nn.Module, x: Tensor, y: int, eps: float) -> Exact:
    """Over {x' in [0, 1]: |x' - x| <= eps}, x (F,)."""
    linear = [m for m in net if isinstance(m, nn.Linear)]  # type: ignore[attr-defined]
    weights = [(m.weight.double().numpy(), m.bias.double().numpy()) for m in linear]
    centre = x.double().numpy()
    sizes = [len(b) for _, b in weights[:-1]]
    margin, distance = -np.inf, np.inf
    for flat in itertools.product((0.0, 1.0), repeat=sum(sizes)):
        on = np.split(np.array(flat), np.cumsum(sizes)[:-1])
        a, b, rows, offsets = np.eye(len(centre)), np.zeros(len(centre)), [], []
        for (w, c), mask in zip(weights[:-1], on, strict=True):
            a, b = w @ a, w @ b + c
            sign = 1 - 2 * mask[:, None]  # on: -z <= 0, off: z <= 0
            rows.append(sign * a)
            offsets.append(-sign[:, 0] * b)
            a, b = mask[:, None] * a, mask * b
        a, b = weights[-1][0] @ a, weights[-1][0] @ b + weights[-1][1]
        for k in range(len(b)):
            if k != y:
                objective = (a[k] - a[y], b[k] - b[y])
                region = (np.concatenate(rows), np.concatenate(offsets))
                margin = max(margin, _largest(objective, region, centre, eps))
                distance = min(distance, _nearest(objective, region, centre, eps))
    return Exact(margin, distance)


def _largest(objective, region, centre, eps) -> float:  # type: ignore[no-untyped-def]  # noqa: ANN001
    ends = np.stack([np.maximum(centre - eps, 0), np.minimum(centre + eps, 1)], 1)
    found = linprog(-objective[0], *region, bounds=ends)
    return float(-found.fun + objective[1]) if found.status == 0 else -np.inf


def _nearest(objective, region, centre, eps) -> float:  # type: ignore[no-untyped-def]  # noqa: ANN001
    n, eye, one = len(centre), np.eye(len(centre)), np.ones((len(centre), 1))
    rows = np.concatenate([region[0], -objective[0][None]])
    rows = np.concatenate([rows, np.zeros((len(rows), 1))], 1)
    rows = np.concatenate([rows, np.hstack([eye, -one]), np.hstack([-eye, -one])])
    high = np.concatenate([region[1], [objective[1]], centre, -centre])
    bounds = [(0, 1)] * n + [(0, eps)]
    found = linprog(np.append(np.zeros(n), 1.0), rows, high, bounds=bounds)
    return float(found.fun) if found.status == 0 else np.inf
