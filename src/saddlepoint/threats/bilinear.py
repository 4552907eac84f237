"""Images read between their pixels: bilinear weights, exact where a point falls on a pixel."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["Padding", "bilinear", "reflected"]

Padding = Literal["zero", "reflect"]
_EDGE = 2  # blank pixels on each side: a point that is further out sees nothing else


def bilinear(x: Tensor, column: Tensor, row: Tensor, padding: Padding) -> Tensor:
    """Values of x (B, C, H, W) at points (B, H, W), counted in pixels from the first one's centre.

    out = sum over the four pixels around a point of (1 - |distance in columns|) (1 - |distance in
    rows|) x. Beyond the image there are zeros, or the image mirrored at the centres of its outer
    pixels. A point on a pixel takes its value bit for bit, which sampling in normalised coordinates
    does not. Differentiable in the points and in x.

    >>> x, at = torch.tensor([[[[1.0, 3.0]]]]), torch.tensor([[[0.0, 0.5]]])
    >>> bilinear(x, at, torch.zeros(1, 1, 2), "zero")
    tensor([[[[1., 2.]]]])
    """
    height, width = x.shape[-2:]
    if padding == "reflect":
        column, row = reflected(column, width), reflected(row, height)
    left, top = column.floor(), row.floor()
    across, down = (column - left).to(x.dtype)[:, None], (row - top).to(x.dtype)[:, None]
    wide = width + 2 * _EDGE
    padded = functional.pad(x, (_EDGE,) * 4).flatten(2)
    first = (top.clamp(-_EDGE, height) + _EDGE) * wide + left.clamp(-_EDGE, width) + _EDGE
    # What is not a number has an address all the same, and stays what it is by its weights.
    index = first.nan_to_num(0.0).long().flatten(1)[:, None].expand(-1, x.shape[1], -1)

    def value(further: int) -> Tensor:
        return padded.gather(2, index + further).view(*x.shape[:2], *column.shape[1:])

    above = value(0) * (1 - across) + value(1) * across
    below = value(wide) * (1 - across) + value(wide + 1) * across
    return above * (1 - down) + below * down


def reflected(at: Tensor, length: int) -> Tensor:
    """Fold points onto [0, length - 1], as a mirror at the outer pixels' centres would.

    >>> reflected(torch.tensor([-1.0, 0.5, 2.5]), 3)
    tensor([1.0000, 0.5000, 1.5000])
    """
    far = length - 1
    if not far:
        return at * 0
    turn = at.abs() % (2 * far)
    return torch.where(turn > far, 2 * far - turn, turn)
