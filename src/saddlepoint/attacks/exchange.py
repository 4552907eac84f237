"""A move for sets in which coordinates share one length: what one block gives up, another takes."""

import torch
from torch import Tensor

from saddlepoint.attacks.blocks import split
from saddlepoint.core.access import Scores
from saddlepoint.core.draw import Draw
from saddlepoint.core.shapes import dot, like, norm
from saddlepoint.core.threat import ThreatModel

__all__ = ["exchange", "halves", "tiles"]

_TILES = 5  # along each axis, as published


def exchange(oracle: Scores[ThreatModel], u: Tensor, pattern: Tensor, source: Tensor) -> Tensor:
    """(B, *P) u with the block ``source`` undone, and its length given to the block of ``pattern``.

    The Euclidean move of Square (1912.00049, §3.3, alg. 3): the new content is the old one and the
    pattern, each at length one, at the length that one radius has and the other coordinates leave.
    pattern: (B, *P) signs on a block, zero elsewhere. source: (B, *P) bool.
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


def halves(block: Tensor, turn: Tensor) -> Tensor:
    """(B, *P) a block of signs, the first half of it turned along one of the axes that it spans.

    A pair of opposite signs finds edges, and half of it is left where the input range cuts one
    sign off. block: (B, *P). turn: (B,) which of the axes.

    >>> halves(torch.tensor([[0.0, 1.0, 1.0, 1.0, 1.0]]), torch.tensor([0])).long()
    tensor([[ 0, -1, -1,  1,  1]])
    """
    _, axes = split(block)
    out = block
    for i in range(len(axes)):
        dim = block.dim() - len(axes) + i
        inside = (block != 0).to(block.dtype)
        seen, size = inside.cumsum(dim), inside.sum(dim, keepdim=True)
        turned = torch.where(seen <= (size / 2).floor(), -block, block)
        out = torch.where(like(turn == i, block), turned, out)
    return out


def tiles(u: Tensor, draw: Draw) -> Tensor:
    """(B, *P) signs on a grid of tiles, one for each channel and tile, each tile in two halves."""
    channels, axes = split(u)
    sides = [max(1, length // _TILES) for length in axes]
    counts = [-(-length // side) for length, side in zip(axes, sides, strict=True)]
    sign = draw.tag("sign").sign(*channels, *counts).to(u.dtype)
    turn = draw.tag("turn").integers(max(1, len(axes)), *[1] * len(channels), *counts)
    places = [torch.arange(length, device=u.device) for length in axes]
    for i, (at, side) in enumerate(zip(places, sides, strict=True)):
        dim = u.dim() - len(axes) + i
        sign, turn = sign.index_select(dim, at // side), turn.index_select(dim, at // side)
    for i, (at, side) in enumerate(zip(places, sides, strict=True)):
        early = (at % side < side // 2).view(-1, *[1] * (len(axes) - 1 - i))
        sign = torch.where((turn == i) & early, -sign, sign)
    return sign
