"""Corners: the far point of the set in the direction of a vector of signs."""

import torch
from torch import Tensor

from saddlepoint.core.access import Scores
from saddlepoint.core.threat import ThreatModel

__all__ = ["corner", "real"]

_FAR = 8.0  # radii: beyond the set from its middle, also where the input range takes most of a step


def corner(oracle: Scores[ThreatModel], sign: Tensor) -> Tensor:
    """(B, *P) the member nearest to a point far out along ``sign``.

    In the L_inf ball that is eps sign, in the L2 ball a vector of length eps, both within the input
    range.
    """
    threat, x = oracle.threat, oracle.x
    start = threat.start(x)
    return threat.project(x, start + _FAR * threat.steepest(x, start, sign))


def real(gain: Tensor, level: Tensor) -> Tensor:
    """(B,) bool: gains above what rounding makes of no change, at losses of that level.

    Turning a sign often moves nothing, where the input range or a mask holds the coordinate; what
    then differs is the size of the batch.

    >>> real(torch.tensor([1e-9, 1e-3]), torch.tensor([2.0, 2.0])).tolist()
    [False, True]
    """
    return gain > 16 * torch.finfo(gain.dtype).eps * level.abs().clamp(min=1)
