"""HopSkipJump: estimate the boundary's normal by labels, step along it, and return towards x."""

import contextlib
import math
from dataclasses import dataclass

from torch import Tensor

from saddlepoint.attacks.anneal import check_share
from saddlepoint.attacks.hunt import Hunt, check_starts
from saddlepoint.attacks.normals import normal
from saddlepoint.core.access import Labels
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Exhausted
from saddlepoint.core.shapes import put
from saddlepoint.core.spec import compact
from saddlepoint.core.threat import Graded
from saddlepoint.core.whole import require_whole

__all__ = ["HopSkipJump"]

_HALVINGS = 12  # of a step, before the round is given up


@dataclass(frozen=True, repr=False)
class HopSkipJump:
    """u <- boundary on the way to x from u + xi · steepest(g) (1904.02144, alg. 2).

    g is the boundary's normal as labels of sqrt(k) ``probes`` points around u show it in round k, a
    share ``probe`` of size(u) away. The step xi starts at size(u) / sqrt(k) and is halved until it
    breaks; then the set of smallest size whose nearest point to it breaks is found. Labels only, in
    every set with sizes. n_queries: questions per sample. starts: (M, *F) inputs of which the
    nearest that breaks is the first point, as a target usually needs; without one random members of
    ever larger sets are tried. Departures from the paper: 25 probes at first instead of 100, a
    share probe that does not fall with the number of coordinates, directions by ``steepest``, and
    as many questions on the way to x as the probes can tell.

    >>> HopSkipJump(n_queries=500)
    HopSkipJump(n_queries=500)
    """

    n_queries: int = 5000
    probes: int = 25
    probe: float = 0.07
    starts: Tensor | None = None

    __repr__ = compact

    def __post_init__(self) -> None:
        require_whole("n_queries", self.n_queries)
        require_whole("probes", self.probes)
        check_share("probe", self.probe, 1)
        check_starts(self.starts)

    def __call__(self, oracle: Labels[Graded], draw: Draw) -> None:
        """Walk along the boundary from one break."""
        hunt = Hunt(oracle, draw, self.n_queries)
        with contextlib.suppress(Exhausted):
            hunt.begin(self.starts)
            u, k = self._return(hunt, hunt.u, hunt.known), 1
            while True:
                (u,) = hunt.shrink(u)
                u, k = self._round(hunt, u, k), k + 1

    def _round(self, hunt: Hunt, u: Tensor, k: int) -> Tensor:
        """(B, *P) the next point on the boundary, whether closer or not."""
        now, r = hunt.draw.tag("round", k), hunt.size(u)

        def noise(i: int) -> Tensor:
            return now.tag(i).normal(*u.shape[1:]).to(u.dtype)

        g = normal(hunt, u, self.probe * r, round(self.probes * math.sqrt(k)), noise)
        xi, waiting, landed = r / math.sqrt(k), hunt.known, u
        for _ in range(_HALVINGS):
            v = hunt.step(u, g, xi)
            hit = hunt.ask(v, waiting)
            landed, waiting, xi = put(hit, v, landed), waiting & ~hit, xi / 2
        return self._return(hunt, landed, hunt.known & ~waiting)

    def _return(self, hunt: Hunt, u: Tensor, where: Tensor) -> Tensor:
        point, tolerance = hunt.toward(u), hunt.tolerance(self.probe)
        return point(hunt.descend(point, hunt.size(u), where, tolerance))
