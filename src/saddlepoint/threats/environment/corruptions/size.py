"""The length that corruptions are measured in."""

from torch import Tensor

__all__ = ["unit"]


def unit(x: Tensor) -> float:
    """A pixel of an image of 32 x 32, in pixels of x (B, C, H, W), by the shorter side.

    >>> import torch
    >>> unit(torch.zeros(1, 3, 64, 80))
    2.0
    """
    return min(x.shape[-2:]) / 32
