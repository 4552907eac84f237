"""A short descent inside a region: what a bound suggests, the network has to confirm."""

import torch
from torch import Tensor

from saddlepoint.verify.network import Network
from saddlepoint.verify.region import Region

__all__ = ["descend"]


def descend(
    network: Network, region: Region, x: Tensor, a: Tensor, offset: Tensor, steps: int
) -> tuple[Tensor, Tensor]:
    """Lower the largest row <a_r, f(x)> + offset_r of each sample from x (B, *F), a member.

    Steps along the steepest direction, from half a radius down to a fiftieth. Returns the best
    members and their rows (B, R): a sample is broken where all rows are below zero.
    """
    best, best_rows = x, _rows(network, x, a, offset)
    for step in range(steps):
        if bool((best_rows.amax(1) < 0).any()):
            break
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            rows = _rows(network, x, a, offset)
            (g,) = torch.autograd.grad(rows.amax(1).sum(), x)
        share = 0.5 * 0.04 ** (step / max(1, steps - 1))
        x = region.climb(x.detach(), -g, share)
        with torch.no_grad():
            rows = _rows(network, x, a, offset)
        better = rows.amax(1) < best_rows.amax(1)
        mask = better.reshape(-1, *[1] * (x.dim() - 1))
        best = torch.where(mask, x, best)
        best_rows = torch.where(better[:, None], rows, best_rows)
    return best.detach(), best_rows.detach()


def _rows(network: Network, x: Tensor, a: Tensor, offset: Tensor) -> Tensor:
    out = network.forward(x)
    return torch.einsum("brk,bk->br", a.flatten(2), out.flatten(1)) + offset
