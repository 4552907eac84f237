"""Corners: the far point of the set in the direction of a vector of signs."""

from torch import Tensor

from saddlepoint.core.access import Scores
from saddlepoint.core.threat import ThreatModel

__all__ = ["corner"]

_FAR = 8.0  # radii: beyond the set from its middle, also where the input range takes most of a step


def corner(oracle: Scores[ThreatModel], sign: Tensor) -> Tensor:
    """(B, *P) the member nearest to a point far out along ``sign``.

    In the L_inf ball that is eps sign, in the L2 ball a vector of length eps, both within the input
    range.
    """
    threat, x = oracle.threat, oracle.x
    start = threat.start(x)
    return threat.project(x, start + _FAR * threat.steepest(x, start, sign))
