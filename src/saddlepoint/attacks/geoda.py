"""GeoDA: the nearest point of the boundary as its normal, estimated by labels, draws it."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from saddlepoint.attacks.anneal import check_share
from saddlepoint.attacks.frequencies import smooth
from saddlepoint.attacks.hunt import Hunt, check_starts
from saddlepoint.attacks.normals import normal
from saddlepoint.core.access import Labels
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Exhausted, Invalid
from saddlepoint.core.shapes import INF, put
from saddlepoint.core.spec import compact
from saddlepoint.core.threat import GradedConvex
from saddlepoint.core.whole import require_whole

__all__ = ["GeoDA"]

_RETURN = 12  # questions from a new direction back to the boundary
_FURTHER = 1.25  # how much further out a direction is tried that does not break yet
_OUTWARD = 6


@dataclass(frozen=True, repr=False)
class GeoDA:
    """u <- boundary along argmax <g, d> over the sets of growing size (2003.06468, alg. 1).

    g is the boundary's normal as labels of points around u show it, a share ``probe`` of size(u)
    away, in directions of low frequency: the lowest ``frequencies`` along each of the last two axes
    of u where it has three or more. The boundary is taken for a plane, whose nearest point to x the
    set's own linear maximum finds. Each of ``rounds`` rounds has ``ratio`` times as many questions
    as the one before (§3.4). Where the direction does not lead out, the next round adds to its
    estimate. Labels only; needs sizes and a linear maximum. n_queries: questions per sample.
    starts: (M, *F) inputs of which the nearest that breaks is the first point, as a target usually
    needs; without one random members of ever larger sets are tried.

    >>> GeoDA(n_queries=500)
    GeoDA(n_queries=500)
    """

    n_queries: int = 5000
    rounds: int = 8
    ratio: float = 1.5
    probe: float = 0.03
    frequencies: float = 0.35
    starts: Tensor | None = None

    __repr__ = compact

    def __post_init__(self) -> None:
        require_whole("n_queries", self.n_queries)
        require_whole("rounds", self.rounds)
        check_share("probe", self.probe, 1)
        check_share("frequencies", self.frequencies, 1 + 1e-9)
        if not 1 <= self.ratio < INF:
            raise Invalid("ratio", self.ratio, "a number of at least 1")
        check_starts(self.starts)

    def count(self, k: int) -> int:
        """Questions about the normal in round k; rounds beyond the last are like it.

        >>> [GeoDA(n_queries=1000).count(k) for k in (0, 7)]
        [18, 301]
        """
        weights = [self.ratio**i for i in range(self.rounds)]
        share = weights[min(k, self.rounds - 1)] / sum(weights)
        return max(2, round((self.n_queries - _RETURN * (self.rounds + 3)) * share))

    def __call__(self, oracle: Labels[GradedConvex], draw: Draw) -> None:
        """Walk from one break to the next."""
        hunt = Hunt(oracle, draw, self.n_queries)
        with contextlib.suppress(Exhausted):
            hunt.begin(self.starts)
            point = hunt.toward(hunt.u)
            top = hunt.descend(point, hunt.r, hunt.known, hunt.tolerance(self.probe))
            u, g, k = point(top), torch.zeros_like(hunt.u), 0
            while True:
                u, g = hunt.shrink(u, g)
                u, g = self._round(hunt, u, g, k)
                k += 1

    def _round(self, hunt: Hunt, u: Tensor, g: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """(B, *P) the next point on the boundary, and what is known of the normal there."""
        now, r = hunt.draw.tag("round", k), hunt.size(u)

        def noise(i: int) -> Tensor:
            return smooth(now.tag(i), u, self.frequencies)

        g = g + normal(hunt, u, self.probe * r, self.count(k), noise, keep=_RETURN)
        threat, x = hunt.oracle.threat, hunt.oracle.x

        def point(r: Tensor) -> Tensor:
            return threat.at(r).maximise(x, g)  # type: ignore[attr-defined,no-any-return]

        top, led = _outward(hunt, point, r)
        new = point(hunt.descend(point, top, led, hunt.tolerance(self.probe), 0.1))
        return put(led, new, u), put(led, torch.zeros_like(g), g)


def _outward(hunt: Hunt, point: Callable[[Tensor], Tensor], r: Tensor) -> tuple[Tensor, Tensor]:
    """(B,) the first size from r on at which ``point`` breaks, and whether there is one."""
    waiting, top = hunt.known, r
    for i in range(_OUTWARD):
        far = r * _FURTHER**i
        hit = hunt.ask(point(far), waiting)
        top, waiting = torch.where(hit, far, top), waiting & ~hit
    return top, hunt.known & ~waiting
