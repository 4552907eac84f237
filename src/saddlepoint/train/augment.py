"""Random shifts and flips of images, on the device, one gather for the whole batch."""

import torch
from torch import Tensor
from torch.nn import functional

from saddlepoint.core.draw import Draw

__all__ = ["AUGMENTS", "cropped", "crops"]

AUGMENTS = ("crop", "flip-crop")


def crops(draw: Draw, how: str, size: tuple[int, ...]) -> Tensor:
    """Draw a row, a column and whether to mirror for images of that size (H, W), (B, 3) int64.

    how: ``crop``, or ``flip-crop``, which also mirrors every second image (not for digits). Rows
    and columns are those of the padded image where the crop begins. A sample's own numbers do not
    depend on the others', so that an epoch can be drawn at once.

    >>> crops(Draw.of(0, torch.arange(2)), "crop", (32, 32)).shape
    torch.Size([2, 3])
    """
    top, left = (max(1, side // 8) for side in size)
    row, column = (
        draw.tag(name).integers(2 * reach + 1, 1)
        for name, reach in (("row", top), ("column", left))
    )
    flip = draw.tag("flip").integers(2, 1) if how == "flip-crop" else torch.zeros_like(row)
    return torch.cat([row, column, flip], 1)


def cropped(x: Tensor, by: Tensor) -> Tensor:
    """Pad x (B, C, H, W) with zeros by an eighth of its side, and crop and mirror as drawn.

    by: (B, 3), of ``crops``. Any dtype; an eighth is the usual 4 pixels of CIFAR-10 (1512.03385,
    §4.2). Equal draws give equal images, in any batch. Channels lie last in memory.

    >>> x = torch.rand(2, 3, 32, 32)
    >>> cropped(x, torch.tensor([[4, 4, 0], [4, 4, 1]])).equal(torch.stack([x[0], x[1].flip(2)]))
    True
    """
    height, width = x.shape[-2:]
    top, left = max(1, height // 8), max(1, width // 8)
    rows = by[:, :1] + torch.arange(height, device=x.device)
    columns = by[:, 1:2] + torch.arange(width, device=x.device)
    columns = torch.where(by[:, 2:] == 1, columns.flip(1), columns)
    padded = functional.pad(x, (left, left, top, top))
    sample = torch.arange(len(x), device=x.device)[:, None, None]
    # Indices around the channel axis move it last, which is how the step wants its memory.
    return padded[sample, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
