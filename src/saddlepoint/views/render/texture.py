"""Look a texture up between its pixels."""

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["lookup"]


def lookup(texture: Tensor, u: Tensor, v: Tensor, around: bool) -> Tensor:
    """(B, C, N) bilinear values of textures (B, C, H, W) at u, v in [0, 1], (B, N).

    around: the left edge continues the right one; else, and always above and below, the edge's own
    value goes on. Linear in the texture, so that its gradient is exact.

    >>> x = torch.tensor([[[[0.0, 1.0]]]])
    >>> u, v = torch.tensor([[0.25, 0.5, 0.75, 1.0]]), torch.full((1, 4), 0.5)
    >>> lookup(x, u, v, around=False).flatten().tolist()
    [0.0, 0.5, 1.0, 1.0]
    >>> lookup(x, u, v, around=True).flatten().tolist()
    [0.0, 0.5, 1.0, 0.5]
    """
    width = texture.shape[-1]
    if around:
        texture = F.pad(texture, (1, 1, 0, 0), mode="circular")
        u = (u * width + 1) / (width + 2)
    grid = torch.stack([u, v], 2)[:, None] * 2 - 1
    return F.grid_sample(texture, grid, "bilinear", "border", align_corners=False)[:, :, 0]
