"""Noise of low frequency over the last two axes."""

import math

import torch
from torch import Tensor

from saddlepoint.core.draw import Draw

__all__ = ["smooth"]


def smooth(draw: Draw, u: Tensor, share: float) -> Tensor:
    """(B, *P) normal noise in the lowest ``share`` of the cosines along each of the last two axes.

    u: gives the shape; with fewer than three axes besides the batch's the noise is plain.

    >>> draw = Draw.of(0, torch.arange(1))
    >>> smooth(draw, torch.zeros(1, 1, 2, 2), 0.5).unique().numel()
    1
    """
    shape = u.shape[1:]
    if len(shape) < 3 or share >= 1:
        return draw.normal(*shape).to(u.dtype)
    rows, columns = (_cosines(n, share, u) for n in shape[-2:])
    noise = draw.normal(*shape[:-2], rows.shape[1], columns.shape[1]).to(u.dtype)
    # Summed by hand: a matrix product may round by the size of the batch.
    tall = (rows[:, :, None] * noise[..., None, :, :]).sum(-2)
    return (tall[..., None, :] * columns).sum(-1)


def _cosines(n: int, share: float, u: Tensor) -> Tensor:
    """(n, k) the k lowest of the n orthonormal cosines."""
    k = max(1, math.ceil(share * n))
    at = (torch.arange(n, device=u.device, dtype=torch.float64) + 0.5) * math.pi / n
    c = torch.cos(at[:, None] * torch.arange(k, device=u.device)) * math.sqrt(2 / n)
    c[:, 0] /= math.sqrt(2)
    return c.to(u.dtype)
