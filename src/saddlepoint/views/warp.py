"""Move the points of a picture by a projective map, one for each sample."""

import torch
import torch.nn.functional as F
from torch import Tensor

from saddlepoint.core.errors import Invalid

__all__ = ["PADDINGS", "check_padding", "matrices", "points", "warp"]

PADDINGS = ("zeros", "border", "reflection")
_AWAY = 3.0  # in halves of a side: outside of any picture


def check_padding(padding: object) -> None:
    """Raise ``Invalid`` unless ``padding`` names what lies beyond the edge."""
    if padding not in PADDINGS:
        raise Invalid("padding", padding, "one of " + ", ".join(map(repr, PADDINGS)))


def points(x: Tensor) -> tuple[Tensor, Tensor]:
    """(1, H, 1) and (1, 1, W) coordinates of pixel centres, right and down from the middle.

    Half the longer side is one unit, so that a turned square stays one.
    """
    height, width = x.shape[-2:]
    half = max(height, width) / 2
    down, right = (
        (torch.arange(n, device=x.device, dtype=x.dtype) + 0.5 - n / 2) / half
        for n in (height, width)
    )
    return right.view(1, 1, -1), down.view(1, -1, 1)


def matrices(*entries: Tensor | float) -> Tensor:
    """(B, 3, 3) from nine entries in reading order, numbers or (B,)."""
    like = next(e for e in entries if isinstance(e, Tensor))
    rows = [e if isinstance(e, Tensor) else torch.full_like(like, e) for e in entries]
    return torch.stack(rows, 1).view(-1, 3, 3)


def warp(x: Tensor, matrix: Tensor, padding: str = "zeros") -> Tensor:
    """(B, C, H, W) the picture whose point p shows what x has at matrix · (p, 1), bilinearly.

    >>> x = torch.arange(4.0).view(1, 1, 2, 2)
    >>> warp(x, torch.eye(3)[None]).flatten().tolist()
    [0.0, 1.0, 2.0, 3.0]
    """
    right, down = points(x)
    rows = [
        matrix[:, i, 0].view(-1, 1, 1) * right
        + matrix[:, i, 1].view(-1, 1, 1) * down
        + matrix[:, i, 2].view(-1, 1, 1)
        for i in range(3)
    ]
    height, width = x.shape[-2:]
    half = max(height, width)
    ahead = rows[2] > 1e-6  # beyond the horizon of a tilted plane there is nothing to see
    depth = torch.where(ahead, rows[2], 1)
    # grid_sample counts in halves of each side.
    there = torch.stack([rows[0] / depth * (half / width), rows[1] / depth * (half / height)], 3)
    grid = torch.where(ahead[..., None], there, _AWAY)
    return F.grid_sample(x, grid, "bilinear", padding, align_corners=False)
