"""Blocks of neighbouring coordinates: over the last two axes of u, or the one it has."""

import torch
from torch import Tensor

__all__ = ["cells", "spans", "split"]


def split(u: Tensor) -> tuple[list[int], list[int]]:
    """Lengths of the axes that count as channels, and of those that a block spans.

    >>> split(torch.zeros(9, 3, 32, 28)), split(torch.zeros(9, 5))
    (([3], [32, 28]), ([], [5]))
    """
    shape = list(u.shape[1:])
    return shape[:-2], shape[-2:]


def spans(length: int, count: int) -> Tensor:
    """(length,) which of ``count`` intervals a position is in, of lengths that differ by one.

    >>> spans(5, 2).tolist(), spans(3, 8).tolist()
    ([0, 0, 0, 1, 1], [0, 1, 2])
    """
    count = min(count, length)
    return torch.arange(length) * count // length


def cells(u: Tensor, side: int) -> Tensor:
    """(D,) the block of each coordinate, where blocks are ``side`` long on each axis they span.

    Channels have blocks of their own.

    >>> cells(torch.zeros(1, 2, 1, 4), 2).tolist()
    [0, 0, 1, 1, 2, 2, 3, 3]
    """
    channels, axes = split(u)
    number = torch.arange(max(1, int(torch.tensor(channels).prod())))
    for length in axes:
        inside = torch.arange(length) // side
        number = number[..., None] * (-(-length // side)) + inside
    return number.flatten().to(u.device)
