"""A move for sets in which coordinates share one length: what one block gives up, another takes."""

import torch
from torch import Tensor

from saddlepoint.attacks.blocks import split
from saddlepoint.core.access import Scores
from saddlepoint.core.draw import Draw
from saddlepoint.core.shapes import dot, like, norm
from saddlepoint.core.threat import ThreatModel

__all__ = ["bump", "exchange", "tiles"]

_TILES = 5  # along each axis, as published


def exchange(oracle: Scores[ThreatModel], u: Tensor, pattern: Tensor, source: Tensor) -> Tensor:
    """(B, *P) u with the block ``source`` undone, and its length given to the block of ``pattern``.

    The Euclidean move of Square (1912.00049, §3.3, alg. 3): the new content is the old one and the
    pattern, each at length one, at the length that one radius has and the other coordinates leave.
    pattern: (B, *P) zero outside of a block. source: (B, *P) bool.
    """
    threat, x = oracle.threat, oracle.x
    start, block = threat.start(x), pattern != 0
    old = _unit(torch.where(block, u - start, 0))
    w = _unit(_unit(pattern) + old)
    rest = torch.where(block | source, start, u)
    radius = norm(threat.steepest(x, rest, w), 2)
    left = (radius.square() - dot(rest - start, rest - start)).clamp(min=0).sqrt()
    return threat.project(x, rest + w * like(left, w))


def _unit(v: Tensor) -> Tensor:
    size = norm(v, 2)
    return v / like(size.masked_fill(size == 0, 1), v)


def bump(u: Tensor, side: int, place: Tensor, turn: Tensor) -> Tensor:
    """(B, *P) two hills of length one and opposite sign on a block, alike for all channels.

    side: of the block. place: (B, axes) in [0, 1), where it is. turn: (B,) along which of the axes
    one hill follows the other.
    """
    channels, axes = split(u)
    at, sizes = [], [min(side, length) for length in axes]
    inside = torch.ones((), dtype=torch.bool, device=u.device)
    for i, (length, size) in enumerate(zip(axes, sizes, strict=True)):
        first = (place[:, i : i + 1] * (length - size + 1)).floor().long()
        behind = torch.arange(length, device=u.device) - first
        at.append(behind.view(len(u), *[1] * i, length, *[1] * (len(axes) - 1 - i)))
        inside = inside & (at[-1] >= 0) & (at[-1] < size)
    hill = torch.where(inside, _hills(at, sizes, like(turn, inside)), 0).to(u.dtype)
    hill = _unit(hill.clamp(min=0)) - _unit(-hill.clamp(max=0))
    return hill.view(len(u), *[1] * len(channels), *axes).expand_as(u)


def tiles(u: Tensor, draw: Draw) -> Tensor:
    """(B, *P) a grid of tiles with two hills each; every channel and tile has a sign of its own.

    There are five along an axis, in its middle, or as many as it has coordinates.
    """
    channels, axes = split(u)
    sides = [max(1, length // _TILES) for length in axes]
    counts = [min(length, _TILES) for length in axes]
    sign = draw.tag("sign").sign(*channels, *counts).to(u.dtype)
    turn = draw.tag("turn").integers(max(1, len(axes)), *counts)
    at, inside = [], torch.ones((), dtype=torch.bool, device=u.device)
    for i, (length, side, count) in enumerate(zip(axes, sides, counts, strict=True)):
        place = torch.arange(length, device=u.device) - (length - side * count) // 2
        number = (place // side).clamp(0, count - 1)
        sign = sign.index_select(sign.dim() - len(axes) + i, number)
        turn = turn.index_select(1 + i, number)
        behind = [1] * (len(axes) - 1 - i)
        inside = inside & ((place >= 0) & (place < side * count)).view(-1, *behind)
        at.append((place % side).view(1, *[1] * i, length, *behind))
    hills = torch.where(inside, _hills(at, sides, turn), 0).to(u.dtype)
    return sign * hills.view(len(u), *[1] * len(channels), *axes)


def _hills(at: list[Tensor], sizes: list[int], turn: Tensor) -> Tensor:
    """(B, *axes) heights in blocks of those sizes: minus in the first half along the axis ``turn``.

    At distance m from the middle of its half, by the largest of the axes, a coordinate has the sum
    of 1 / k^2 over m < k <= side / 2 + 1, as published. at: places within the blocks.
    """
    far, sign = torch.zeros_like(turn), torch.ones_like(turn)
    for i, (place, size) in enumerate(zip(at, sizes, strict=True)):
        half = size // 2
        early = place < half
        middle = torch.where(early, half // 2, half + (size - half) // 2)
        middle = torch.where(turn == i, middle, half)
        far = torch.maximum(far, (place - middle).abs())
        sign = torch.where((turn == i) & early, -sign, sign)
    top = max([1, *sizes]) // 2 + 1
    heights = (1 / torch.arange(1, top + 1, device=turn.device).square()).flip(0).cumsum(0).flip(0)
    return sign * heights[far.clamp(max=top - 1)]
