"""A move for sets in which coordinates share one length: what one block gives up, another takes."""

import torch
from torch import Tensor

from saddlepoint.core.access import Scores
from saddlepoint.core.shapes import dot, like, norm
from saddlepoint.core.threat import ThreatModel

__all__ = ["exchange"]


def exchange(oracle: Scores[ThreatModel], u: Tensor, pattern: Tensor, source: Tensor) -> Tensor:
    """(B, *P) u with the block ``source`` undone, and its length given to the block of ``pattern``.

    The Euclidean move of Square (1912.00049, §3.3, alg. 3) with a flat block: the new content is
    the old one and the pattern, each at length one, at the length that one radius has and the other
    coordinates leave. pattern: (B, *P) signs on a block, zero elsewhere. source: (B, *P) bool.
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
