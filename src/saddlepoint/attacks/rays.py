"""RayS: search for the signs of the direction in which the boundary is nearest."""

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from saddlepoint.attacks.anneal import check_share
from saddlepoint.attacks.boundary import RANGE
from saddlepoint.attacks.hunt import Hunt
from saddlepoint.core.access import Labels
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Exhausted
from saddlepoint.core.shapes import put
from saddlepoint.core.spec import compact
from saddlepoint.core.threat import Graded
from saddlepoint.core.whole import require_whole

__all__ = ["RayS"]


@dataclass(frozen=True, repr=False)
class RayS:
    """Flip the signs of ever smaller blocks of s; keep what brings the boundary along s closer.

    A point along s is project(r · steepest(s)), and one question at the closest size so far says
    whether flipping a block helps (2006.12792, alg. 3); only then the boundary is looked for. All
    coordinates are one block at first, in order, and each stage halves the blocks; after the last
    it begins again, and ends where a whole pass has changed nothing, since it would ask the same
    again. Labels only, no chance, no start, in every set with sizes; published for L_inf, where
    the direction of the nearest break is one of signs. n_queries: questions per sample. tolerance:
    share of the size to which a crossing is found, and by which a flip has to help.

    >>> RayS(n_queries=500)
    RayS(n_queries=500)
    """

    n_queries: int = 5000
    tolerance: float = 0.001

    __repr__ = compact

    def __post_init__(self) -> None:
        require_whole("n_queries", self.n_queries)
        check_share("tolerance", self.tolerance, 1)

    def __call__(self, oracle: Labels[Graded], draw: Draw) -> None:
        """Search from all signs alike."""
        hunt = Hunt(oracle, draw, self.n_queries)
        signs = torch.ones_like(hunt.u)
        best = torch.full_like(hunt.r, RANGE)  # along the signs; the hunt may know a closer break
        with contextlib.suppress(Exhausted):
            best, k = self._cross(hunt, signs, best), 0
            while True:
                before = best
                for block in _blocks(signs):
                    signs, best, before = hunt.shrink(signs, best, before)
                    new = torch.where(block, -signs, signs)
                    r = self._cross(hunt, new, best)
                    signs, best = put(r < best, new, signs), r
                hunt.left = torch.where((best < before) | (best >= RANGE), hunt.left, 0)
                k += 1
                other = hunt.draw.tag("signs", k).sign(*signs.shape[1:]).to(signs.dtype)
                signs = put(best >= RANGE, other, signs)

    def _cross(self, hunt: Hunt, signs: Tensor, best: Tensor) -> Tensor:
        """(B,) the size at which the boundary is crossed along the signs, if below ``best``."""
        threat, x = hunt.oracle.threat, hunt.oracle.x
        start = threat.start(x)

        def point(r: Tensor) -> Tensor:
            here = threat.at(r)
            return here.project(x, start + here.steepest(x, start, signs))

        far = best >= RANGE
        ask = torch.where(far, best, best * (1 - self.tolerance))
        hit = hunt.ask(point(ask), hunt.left > 0)
        top = torch.where(far, hunt.size(point(ask)), ask)
        r = hunt.descend(point, top, hit, self.tolerance, 4 * self.tolerance)
        return torch.where(hit, r, best)


def _blocks(u: Tensor) -> Iterator[Tensor]:
    """(1, *P) bool each: all coordinates, halves, quarters … single ones."""
    shape = u.shape[1:]
    count = math.prod(shape)
    at = torch.arange(count, device=u.device).reshape(1, *shape)
    for stage in range(math.ceil(math.log2(max(count, 1))) + 1):
        length = math.ceil(count / 2**stage)
        for first in range(0, count, length):
            yield (at >= first) & (at < first + length)
