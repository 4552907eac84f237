"""Kernels of blurs, (B, K, K) each and summing to 1; differentiable in what widens them."""

import torch
from torch import Tensor

__all__ = ["blurred", "disk", "gaussian", "line", "tails"]

SHARP = 0.17  # deviation in pixels below which a gaussian blurs nothing that float32 could tell


def blurred(x: Tensor, kernel: Tensor) -> Tensor:
    """Convolve each image (B, C, H, W) with its kernel (B, K, K); beyond the edge it repeats."""
    from kornia.filters import filter2d

    out: Tensor = filter2d(x, kernel, border_type="replicate", behaviour="conv")
    return out


def _grid(half: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Columns (1, 1, K) and rows (1, K, 1), counted from the middle."""
    at = torch.arange(-half, half + 1, dtype=like.dtype, device=like.device)
    return at[None, None, :], at[None, :, None]


def gaussian(sigma: Tensor, half: int) -> Tensor:
    """exp(-|p|^2 / 2 sigma^2) for sigma (B,), K = 2 half + 1; sigma = 0 blurs nothing.

    >>> gaussian(torch.tensor([0.0]), 1)[0].round(decimals=6).tolist()
    [[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    """
    columns, rows = _grid(half, sigma)
    spread = sigma.clamp(min=SHARP)[:, None, None]
    weight = torch.exp(-(columns**2 + rows**2) / (2 * spread**2))
    return weight / weight.sum((1, 2), keepdim=True)


def disk(radius: Tensor, half: int) -> Tensor:
    """Weight of the share of a pixel within ``radius`` (B,), to first order; 0 blurs nothing.

    >>> disk(torch.tensor([0.5]), 1)[0].tolist()
    [[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    """
    columns, rows = _grid(half, radius)
    distance = torch.sqrt(columns**2 + rows**2)
    wide = radius.clamp(min=0.5)[:, None, None]  # no slope, not the rounding of one, below that
    weight = (wide + 0.5 - distance).clamp(0, 1)
    return weight / weight.sum((1, 2), keepdim=True)


def line(at: Tensor, weight: Tensor, angle: Tensor, half: int) -> Tensor:
    """Points along a line, each shared bilinearly among the four pixels around it.

    at, weight: (B, T) places along the line in pixels, and how much lies there. angle: (B,) of the
    line, in radians from the first row towards higher rows.

    >>> line(torch.tensor([[-1.0, 1.0]]), torch.ones(1, 2), torch.zeros(1), 1)[0].tolist()
    [[0.0, 0.0, 0.0], [0.5, 0.0, 0.5], [0.0, 0.0, 0.0]]
    """
    columns, rows = _grid(half, at)
    x, y = at * angle.cos()[:, None], at * angle.sin()[:, None]
    across = (1 - (columns - x[:, :, None]).abs()).clamp(min=0)  # (B, T, K)
    down = (1 - (rows.transpose(1, 2) - y[:, :, None]).abs()).clamp(min=0)
    kernel = torch.einsum("bt,bti,btj->bij", weight, down, across)
    return kernel / kernel.sum((1, 2), keepdim=True)


def tails(length: Tensor, sigma: Tensor, angle: Tensor, half: int) -> Tensor:
    """Trail behind a moving point: exp(-t^2 / 2 sigma^2) at t = 0 … length, in steps of a pixel.

    length, sigma, angle: (B,); a sigma of 0 leaves no trail.
    """
    steps = torch.arange(half + 1, dtype=sigma.dtype, device=sigma.device).expand(len(sigma), -1)
    spread = sigma.clamp(min=SHARP)[:, None]
    inside = (length[:, None] + 1 - steps).clamp(0, 1)
    return line(steps, inside * torch.exp(-(steps**2) / (2 * spread**2)), angle, half + 1)
