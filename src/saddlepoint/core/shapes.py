"""Per-sample arithmetic on batches of any rank: the first axis counts samples."""

from collections.abc import Iterator
from typing import Final

import torch
from torch import Tensor

__all__ = ["INF", "dot", "flat", "like", "norm", "pieces", "put"]

INF: Final = float("inf")
"""The order of the norm of ``Linf``."""


def flat(t: Tensor) -> Tensor:
    """View or copy (B, *F) as (B, D), whatever the strides, and where there are no rows too.

    t: the batch; of (B,) each number becomes a row.

    >>> flat(torch.zeros(2, 3, 4)).shape, flat(torch.zeros(0, 3, 4)).shape
    (torch.Size([2, 12]), torch.Size([0, 12]))
    """
    if t.dim() == 2:
        return t
    return t.flatten(1) if t.dim() > 2 else t.reshape(-1, 1)  # of no rows a -1 says nothing


def like(v: Tensor, t: Tensor) -> Tensor:
    """Append axes of length one to v, (B,), so that it broadcasts against t, (B, *F).

    >>> like(torch.ones(2), torch.zeros(2, 3, 4)).shape
    torch.Size([2, 1, 1])
    """
    return v.reshape(-1, *[1] * (t.dim() - 1))


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner product per sample, (B,), of a and b, both (B, *F).

    >>> dot(torch.ones(2, 3), torch.full((2, 3), 2.0))
    tensor([6., 6.])
    """
    return (flat(a) * flat(b)).sum(1)


def norm(t: Tensor, order: float) -> Tensor:
    """Norm of each sample of t, (B, *F), as (B,); ``order`` is 1, 2, 0 or ``INF``.

    >>> norm(torch.tensor([[3.0, -4.0]]), 2)
    tensor([5.])
    """
    rows = flat(t)
    if order == INF and rows.shape[1]:  # no copy; vector_norm takes 18 times as long
        return torch.maximum(rows.amax(1), -rows.amin(1))
    size: Tensor = torch.linalg.vector_norm(rows, order, dim=1)
    return size


def pieces(rows: Tensor, size: int) -> Iterator[Tensor]:
    """Cut rows, (N,) row numbers, into consecutive pieces of at most ``size``.

    >>> [p.tolist() for p in pieces(torch.arange(5), 2)]
    [[0, 1], [2, 3], [4]]
    """
    return (rows[i : i + size] for i in range(0, len(rows), size))


def put(mask: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """Rows of ``new`` where ``mask`` (B,) holds, rows of ``old`` elsewhere.

    >>> put(torch.tensor([True, False]), torch.ones(2, 1), torch.zeros(2, 1))
    tensor([[1.],
            [0.]])
    """
    return torch.where(like(mask, new), new, old)
