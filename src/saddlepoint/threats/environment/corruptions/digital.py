"""What processing does to images: brightness, contrast, elastic, pixelate, jpeg."""

import math

import torch
from torch import Tensor

from saddlepoint.threats.environment.fields import uniform
from saddlepoint.threats.environment.kernels import SHARP
from saddlepoint.threats.environment.ladder import rung

__all__ = ["brightness", "contrast", "elastic", "jpeg", "pixelate"]


def brightness(x: Tensor, level: Tensor, seeds: Tensor) -> Tensor:
    """Value in HSV raised by c; of other than three channels, the values themselves."""
    c = rung(level, (0, 0.05, 0.1, 0.15, 0.2, 0.3)).view(-1, 1, 1, 1)
    if x.shape[1] != 3:
        return x + c
    from kornia.color import hsv_to_rgb, rgb_to_hsv

    h, s, v = rgb_to_hsv(x).chunk(3, 1)
    out: Tensor = hsv_to_rgb(torch.cat([h, s, (v + c).clamp(0, 1)], 1))
    return out


def contrast(x: Tensor, level: Tensor, seeds: Tensor) -> Tensor:
    """m + c (x - m), m the mean of each channel."""
    c = rung(level, (1, 0.75, 0.5, 0.4, 0.3, 0.15)).view(-1, 1, 1, 1)
    mean = x.mean((2, 3), keepdim=True)
    return mean + c * (x - mean)


def elastic(x: Tensor, level: Tensor, seeds: Tensor) -> Tensor:
    """Read at p + A(p - c) + d(p), A a random affine map and d smooth noise.

    A moves three points about the centre, a third of the side from it, by up to r each way; d is
    uniform noise blurred by a gaussian of deviation s, times a.
    """
    from kornia.filters import gaussian_blur2d
    from kornia.geometry.transform import remap

    side = min(x.shape[-2:])
    a = rung(level, (0, 0, 0.05, 0.08, 0.1, 0.1)) * side
    s = rung(level, (0.2, 0.2, 0.2, 0.06, 0.04, 0.03)) * side
    r = rung(level, (0, 0.08, 0.07, 0.06, 0.05, 0.03)) * side
    half = min(math.ceil(3 * 0.2 * side), side - 1)
    field = 2 * uniform(seeds, "elastic", 2, *x.shape[2:]) - 1
    width = (2 * half + 1, 2 * half + 1)
    smooth = gaussian_blur2d(field, width, s.clamp(min=SHARP)[:, None].expand(-1, 2))
    moved = smooth * a.view(-1, 1, 1, 1)
    rows, columns = (torch.arange(n, dtype=x.dtype, device=x.device) for n in x.shape[2:])
    down, across = torch.meshgrid(rows - rows.mean(), columns - columns.mean(), indexing="ij")
    turn, shift = _affine(seeds, r, side / 3)
    place = torch.stack([across, down]).flatten(1)
    drift = (turn @ place + shift).view(-1, 2, *x.shape[2:])
    at = moved + drift + torch.stack([columns.expand_as(down), rows[:, None].expand_as(down)])
    out: Tensor = remap(x, at[:, 0], at[:, 1], padding_mode="reflection", align_corners=True)
    return out


def _affine(seeds: Tensor, reach: Tensor, arm: float) -> tuple[Tensor, Tensor]:
    """(B, 2, 2) and (B, 2, 1): the map that takes three points about the centre by random steps."""
    points = reach.new_tensor([[1, 1], [1, -1], [-1, -1]]) * arm
    steps = (2 * uniform(seeds, "elastic corners", 3, 2) - 1) * reach.view(-1, 1, 1)
    # [p, 1] M = step for each of the three points.
    known = torch.cat([points, torch.ones_like(points[:, :1])], 1)
    solved = torch.linalg.solve(known, steps)
    return solved[:, :2].transpose(1, 2), solved[:, 2:].transpose(1, 2)


def pixelate(x: Tensor, level: Tensor, seeds: Tensor) -> Tensor:
    """Mean over blocks of side 1 / c, read back pixel by pixel as the mean of what covers it.

    Blocks need not end where pixels do, so that the image is continuous in the level.
    """
    # A hair more than a pixel: which side of an edge a block ends on must not hang on rounding.
    block = 1e-9 + 1 / rung(level, (1, 0.95, 0.9, 0.85, 0.75, 0.65))
    across = _blocks(block, x.shape[3])[:, None]
    down = _blocks(block, x.shape[2])[:, None]
    return down @ x @ across.transpose(2, 3)


def _blocks(length: Tensor, side: int) -> Tensor:
    """(B, side, side) of the means along one axis: rows sum to 1, the identity at length 1."""
    k = torch.arange(side, dtype=length.dtype, device=length.device)
    first = (k * length[:, None]).clamp(max=side)
    last = ((k + 1) * length[:, None]).clamp(max=side)
    edge = k[None, :, None]
    upper = torch.minimum(edge + 1, last[:, None, :])
    covered = (upper - torch.maximum(edge, first[:, None, :])).clamp(min=0)
    size = (last - first)[:, None, :]
    return covered @ (covered / size.clamp(min=1e-9)).transpose(1, 2)


def jpeg(x: Tensor, level: Tensor, seeds: Tensor) -> Tensor:
    """Compressed at quality q, with kornia's smooth stand-in for rounding.

    One channel is coded as the luma of a grey image; more than three are coded one by one.
    """
    from kornia.enhance import jpeg_codec_differentiable

    quality = rung(level, (100, 80, 65, 58, 50, 40))
    channels = x.shape[1]
    if channels == 3:
        out: Tensor = jpeg_codec_differentiable(x, quality)
        return out
    grey = x.flatten(0, 1)[:, None].expand(-1, 3, -1, -1).contiguous()
    coded: Tensor = jpeg_codec_differentiable(grey, quality.repeat_interleave(channels))
    return coded[:, 0].view_as(x)
