"""Random shifts and flips of images, on the device, one gather for the whole batch."""

import torch
from torch import Tensor
from torch.nn import functional

from saddlepoint.core.draw import Draw

__all__ = ["AUGMENTS", "augmented"]

AUGMENTS = ("crop", "flip-crop")


def augmented(x: Tensor, draw: Draw, how: str) -> Tensor:
    """Pad x (B, C, H, W) with zeros by an eighth of its side and crop at random.

    how: ``crop``, or ``flip-crop``, which also mirrors every second image (not for digits). Any
    dtype; an eighth is the usual 4 pixels of CIFAR-10 (1512.03385, §4.2). Equal draws give equal
    images, in any batch.

    >>> x = torch.rand(2, 3, 32, 32)
    >>> augmented(x, Draw.of(0, torch.arange(2)), "crop").shape
    torch.Size([2, 3, 32, 32])
    """
    height, width = x.shape[-2:]
    top, left = max(1, height // 8), max(1, width // 8)
    rows = draw.tag("row").integers(2 * top + 1, 1) + torch.arange(height, device=x.device)
    columns = draw.tag("column").integers(2 * left + 1, 1) + torch.arange(width, device=x.device)
    if how == "flip-crop":
        mirrored = draw.tag("flip").integers(2, 1) == 1
        columns = torch.where(mirrored, columns.flip(1), columns)
    padded = functional.pad(x, (left, left, top, top))
    sample = torch.arange(len(x), device=x.device)[:, None, None]
    # Indices around the channel axis move it last; the result has to be NCHW again.
    crops = padded[sample, :, rows[:, :, None], columns[:, None, :]]
    return crops.permute(0, 3, 1, 2).contiguous()
