"""The boundary attack: a random walk among breaks, along the boundary and towards x."""

import contextlib
from dataclasses import dataclass

import torch
from torch import Tensor

from saddlepoint.attacks.anneal import check_share
from saddlepoint.attacks.hunt import Hunt, check_starts
from saddlepoint.core.access import Labels
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Exhausted
from saddlepoint.core.shapes import like
from saddlepoint.core.spec import compact
from saddlepoint.core.threat import Graded
from saddlepoint.core.whole import require_whole

__all__ = ["Boundary"]

_TOLERANCE = 0.01  # of the first point
_SIDE = 5  # steps between two questions about the step along the boundary alone


@dataclass(frozen=True, repr=False)
class Boundary:
    """u' = P_{(1 - b) r}(v), v a step of a r from u at the same size r; kept if it breaks.

    The step along the boundary a is right where half of the v break, which is asked every fifth
    time, the step towards x where a quarter of the u' do (1712.04248, §2.3): both grow after a
    success and shrink otherwise. Labels only; published for L_2, and in sets with corners far
    behind ``HopSkipJump`` and ``RayS``. n_queries: questions per sample. along, towards: a and b at
    first. starts: (M, *F) inputs of which the nearest that breaks is the first point, as a target
    usually needs; without one random members of ever larger sets are tried. Departures from the
    paper: the walk begins where the way from there to x crosses the boundary, and with steps ten
    times as long.

    >>> Boundary(n_queries=500)
    Boundary(n_queries=500)
    """

    n_queries: int = 5000
    along: float = 0.1
    towards: float = 0.1
    starts: Tensor | None = None

    __repr__ = compact

    def __post_init__(self) -> None:
        require_whole("n_queries", self.n_queries)
        check_share("along", self.along, 1)
        check_share("towards", self.towards, 1)
        check_starts(self.starts)

    def __call__(self, oracle: Labels[Graded], draw: Draw) -> None:
        """Walk from one break."""
        hunt = Hunt(oracle, draw, self.n_queries)
        with contextlib.suppress(Exhausted):
            hunt.begin(self.starts)
            hunt.descend(hunt.toward(hunt.u), hunt.r, hunt.known, _TOLERANCE)
            a, b = torch.full_like(hunt.r, self.along), torch.full_like(hunt.r, self.towards)
            k = 0
            while True:
                a, b = hunt.shrink(a, b)
                a, b = self._step(hunt, a, b, k)
                k += 1

    def _step(self, hunt: Hunt, a: Tensor, b: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Move, and return the lengths of the next step."""
        r, v = hunt.r, _beside(hunt, a, k)
        if k % _SIDE == 0:
            half = hunt.ask(v, hunt.known)
            a = (a * torch.where(half, 1.5, 1 / 1.5)).clamp(1e-4, 1)
        hit = hunt.ask(hunt.toward(v)(r * (1 - b)), hunt.known)
        # One success pays for three failures, which a rate of a quarter holds in balance.
        return a, (b * torch.where(hit, 1.2, 1.2 ** (-1 / 3))).clamp(1e-5, 0.5)


def _beside(hunt: Hunt, a: Tensor, k: int) -> Tensor:
    """(B, *P) a random step from the closest break, put back to its size."""
    u, r = hunt.u, hunt.r
    noise = hunt.draw.tag("walk", k).normal(*u.shape[1:]).to(u.dtype)
    v = hunt.step(u, noise, a * r)
    stretch = (r / hunt.size(v)).nan_to_num(1, 1, 1)
    return hunt.toward(v * like(stretch, v))(r)
