"""A small net on scikit-learn's digits, for the other examples to try things on."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import saddlepoint as sp

__all__ = ["digits", "trained"]


def digits(split: str = "test", n: int | None = None) -> tuple[Tensor, Tensor]:
    """Return images (N, 1, 8, 8) in [0, 1] and labels (N,)."""
    return sp.load_data("digits").split(split).batch(slice(n))


def trained(eps: float = 0.0, seed: int = 0) -> nn.Module:
    """Train for a second: on the images, or on their one-step neighbours within Linf eps."""
    x, y = digits("train")
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 100), nn.ReLU(), nn.Linear(100, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    threat = sp.Linf(eps=eps)
    for step in range(200):
        near = x
        if eps:  # from a random member, one step uphill (N-FGSM without its larger noise)
            u = (2 * torch.rand_like(x) - 1) * eps
            u.requires_grad_(True)
            (g,) = torch.autograd.grad(cross_entropy(model(x + u), y), u)
            near = x + threat.project(x, u.detach() + eps * min(1.0, step / 100) * g.sign())
        optimizer.zero_grad()
        cross_entropy(model(near), y).backward()
        optimizer.step()
    return model.eval()
