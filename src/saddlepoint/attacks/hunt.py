"""The hunt for the closest break by the label alone: what is asked, what it costs, what is held."""

import contextlib
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from saddlepoint.attacks.boundary import RANGE
from saddlepoint.core.access import Labels
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Exhausted, Invalid, Unsupported
from saddlepoint.core.shapes import flat, put
from saddlepoint.core.threat import Graded, parametric, radii

__all__ = ["Hunt", "check_starts"]

_GROWN = 12  # times that the set is doubled in search of a first break


class Hunt:
    """The closest break that each row knows, inside its set or not, and what it may still ask.

    The rows go in step, but each asks when it needs to: others are left out of the question and pay
    nothing. left: (B,) questions. u: (B, *P) the closest break; at first what another attack by
    labels has found. r: (B,) its size, infinite where there is none.
    """

    def __init__(self, oracle: Labels[Graded], draw: Draw, n_queries: int) -> None:
        self.oracle, self.draw = oracle.roam(), draw
        self.u, self.r = self.oracle.closest()
        self.left = torch.full((len(oracle.x),), n_queries, device=oracle.x.device)

    @property
    def known(self) -> Tensor:
        """(B,) bool: rows that know a break."""
        return self.r.isfinite()

    def size(self, u: Tensor) -> Tensor:
        """(B,) sizes of u (B, *P)."""
        return self.oracle.threat.size(self.oracle.x, u).to(self.r.dtype)

    def tolerance(self, probe: float) -> float:
        """Share of r to which the boundary has to be known for questions at ``probe`` r around it.

        A random direction of D coordinates has a share of about 1 / sqrt(D) along the normal.
        """
        return probe / math.sqrt(max(1, flat(self.u).shape[1]))

    def shrink(self, *state: Any) -> tuple[Any, ...]:  # noqa: ANN401
        """Drop rows that are closed or have nothing left to ask; ``Exhausted`` where all are."""
        if not bool((self.left > 0).any()):
            raise Exhausted
        resting = self.oracle.rest(self.left <= 0)
        mine = (self.draw, self.u, self.r, self.left)
        oracle, self.draw, self.u, self.r, self.left, *rest = resting.shrink(*mine, *state, at=1.0)
        self.oracle = oracle
        return tuple(rest)

    def ask(self, v: Tensor, where: Tensor) -> Tensor:
        """(B,) bool: whether v (B, *P) breaks the rows that ask; False for all others."""
        where = where & (self.left > 0)
        broken = torch.zeros_like(where)
        if not bool(where.any()):
            return broken
        with contextlib.suppress(Exhausted):  # every row that asks is closed
            rows = torch.arange(len(v), device=v.device)
            part, new, rows = self.oracle.rest(~where).shrink(v, rows, at=1.0)
            broken[rows] = part.solved(new)
        self.left = self.left - where.to(self.left.dtype)
        size = self.size(v)
        closer = broken & (size < self.r)
        self.u, self.r = put(closer, v, self.u), torch.where(closer, size, self.r)
        return broken

    def toward(self, u: Tensor) -> Callable[[Tensor], Tensor]:
        """Return r -> the nearest point to u of size r: the way from u to x."""
        return lambda r: self.oracle.threat.at(r).project(self.oracle.x, u)

    def step(self, u: Tensor, g: Tensor, size: Tensor) -> Tensor:
        """(B, *P) a step along g of the size (B,), from u, within the input range."""
        return self._inward(u + self.oracle.threat.at(size).steepest(self.oracle.x, u, g))

    def _inward(self, u: Tensor) -> Tensor:
        return self.oracle.threat.at(torch.full_like(self.r, RANGE)).project(self.oracle.x, u)

    def begin(self, starts: Tensor | None = None) -> None:
        """Find each row a break: the nearest of ``starts``, or a member of ever larger sets.

        Rows that find none have nothing left to ask: they survive.
        """
        if starts is not None:
            self._pick(starts)
        k = 0
        while bool((need := ~self.known & (self.left > 0)).any()):
            self.ask(self._member(k), need)
            k += 1

    def _member(self, k: int) -> Tensor:
        """(B, *P) the k-th random point: sets grow twelve times, and begin again."""
        now, x = self.draw.tag("start", k), self.oracle.x
        eps = radii(self.oracle.threat, x)
        larger = self.oracle.threat.at(torch.where(eps > 0, eps, 1) * 2.0 ** (k // 2 % _GROWN))
        if k % 2 == 0:
            return larger.sample(x, now)
        start = self.oracle.threat.start(x)
        signs = now.sign(*start.shape[1:]).to(start.dtype)
        return larger.project(x, start + 2 * larger.steepest(x, start, signs))

    def _pick(self, starts: Tensor) -> None:
        """Ask about given inputs, nearest first, until one breaks."""
        if parametric(self.oracle.threat):
            raise Unsupported(f"{self.oracle.threat!r} has parameters: an input is no start in it")
        x = self.oracle.x
        moves = torch.stack([self._inward(s.to(x) - x) for s in starts])
        order = torch.stack([self.size(u) for u in moves]).argsort(dim=0, stable=True)
        rows = torch.arange(len(x), device=x.device)
        for k in range(len(starts)):
            self.ask(moves[order[k], rows], ~self.known)

    def descend(
        self,
        point: Callable[[Tensor], Tensor],
        top: Tensor,
        where: Tensor,
        tolerance: float,
        first: float = 0.5,
    ) -> Tensor:
        """(B,) the size at which ``point`` crosses the boundary, to a share ``tolerance``.

        point: r -> (B, *P) of size r, where sizes are those of breaks from ``top`` on. The search
        leaves it by steps of ``first`` top, twice as long each time, until one misses, and halves
        what is between. Where a question is near the set's own size, which would settle the matter,
        it is about that size.
        """
        eps = radii(self.oracle.threat, self.oracle.x)
        high = top.clamp(max=RANGE)
        low, step, missed = torch.zeros_like(high), first * high, torch.zeros_like(where)
        while bool((where := where & (self.left > 0) & (high - low > tolerance * high)).any()):
            r = _between(low, high, torch.where(missed, high, step))
            r = torch.where((low < eps) & (eps < high) & ((r / eps - 1).abs() < 0.5), eps, r)
            hit = self.ask(point(torch.where(where, r, high)), where)
            high, low = torch.where(hit, r, high), torch.where(where & ~hit, r, low)
            missed, step = missed | (where & ~hit), step * 2
        return high


def _between(low: Tensor, high: Tensor, step: Tensor) -> Tensor:
    """(B,) a step below high, but no further than the middle, of the exponents where far apart."""
    middle = torch.where(high > 4 * low, (low * high).sqrt(), (low + high) / 2)
    return torch.maximum(high - step, torch.where(low > 0, middle, high / 2))


def check_starts(starts: object) -> None:
    """Raise ``Invalid`` unless ``starts`` is None or a batch of inputs."""
    if starts is not None and not (isinstance(starts, Tensor) and starts.dim() > 1 and len(starts)):
        raise Invalid("starts", starts, "a batch of inputs (M, *F), or None")
