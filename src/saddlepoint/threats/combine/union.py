"""Any of several sets, whichever hurts most."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from saddlepoint.core.draw import Draw
from saddlepoint.core.shapes import flat
from saddlepoint.threats.combine.members import Several, Sized, join, relative

__all__ = ["Union"]


@dataclass(frozen=True, init=False, repr=False)
class Union(Several):
    """{apply_k(x, v) : k one of the sets, v in set k} (1904.13000, section 3), also ``a | b``.

    u is (B, 1 + D): the number k of the set, from 0, then a block for the parameters of each set;
    those of all but the chosen one are at their start. ``project`` keeps the choice nearest to u's
    and projects its block. The set is not convex: there is nothing between two of its members.
    Unions within it are taken apart. Where all sets have sizes, so has the union: ``eps`` (1) is
    a factor on all of them, and the size of u is the smallest factor that admits it.

    Gradients never change the choice, so that an attack climbs in the set in which it began;
    ``Each(attack)`` searches every set.

    Raises ``Invalid`` for no set at all, and for sets with different input ranges.

    >>> from saddlepoint.threats import L2, Linf
    >>> both = Union(Linf(eps=0.1), L2(eps=0.5))
    >>> x = torch.tensor([[0.5, 0.5]])
    >>> both.project(x, torch.tensor([[1.0, 0.0, 0.0, 3.0, 4.0]]))
    tensor([[1.0000, 0.0000, 0.0000, 0.3000, 0.4000]])
    >>> both.apply(x, torch.tensor([[0.0, 0.1, -0.1, 0.0, 0.0]]))
    tensor([[0.6000, 0.4000]])
    """

    in_turn: ClassVar[bool] = False

    def start(self, x: Tensor) -> Tensor:
        """Choose the first set, every set at its start."""
        return join([x.new_zeros(len(x), 1), *self._starts(x)])

    def sample(self, x: Tensor, draw: Draw) -> Tensor:
        """Choose a set, each with the same chance, and a random member of it."""
        chosen = draw.tag("set").integers(len(self.sets), 1)[:, 0]

        def drawn(k: int, rows: Tensor, _: Tensor) -> Tensor:
            v: Tensor = self.parts[k][rows].sample(x[rows], draw[rows].tag("member", k))
            return v

        return self._moved(x, self.start(x), chosen, drawn)

    def project(self, x: Tensor, u: Tensor) -> Tensor:
        """Keep the nearest choice, project its block, put the others back to their start."""

        def nearest(k: int, rows: Tensor, v: Tensor) -> Tensor:
            member: Tensor = self.parts[k][rows].project(x[rows], v)
            return member

        return self._moved(x, u, self._chosen(u), nearest)

    def steepest(self, x: Tensor, u: Tensor, g: Tensor) -> Tensor:
        """Each set's own direction in its block; half the way across all sets for the choice."""
        choice = g[:, :1].sign() * ((len(self.sets) - 1) / 2)
        both = zip(self.parts, self._options(x, u), self._options(x, g), strict=True)
        return join([choice, *[one.steepest(x, v, h) for one, v, h in both]])

    def apply(self, x: Tensor, u: Tensor) -> Tensor:
        """Perturb as the chosen set does."""
        v, moved = self._options(x, u), x
        for k, rows in self._rows(self._chosen(u)):
            new = self.parts[k][rows].apply(x[rows], v[k][rows])
            moved = new if len(rows) == len(x) else moved.index_copy(0, rows, new)
        return moved

    def contains(self, x: Tensor, u: Tensor, tol: float) -> Tensor:
        """(B,) bool: a choice there is, its block in its set, the other blocks at their start."""
        inside = torch.zeros(len(x), dtype=torch.bool, device=x.device)
        x, u = x.double(), u.double()
        v, starts, chosen = self._options(x, u), self._starts(x), self._chosen(u)
        for k, rows in self._rows(chosen):
            inside[rows] = self.parts[k][rows].contains(x[rows], v[k][rows], tol)
            for j, start in enumerate(starts):
                if j != k and flat(start).shape[1]:
                    off = flat(v[j][rows]) - flat(start[rows])
                    inside[rows] &= off.abs().amax(1) <= tol
        return inside & ((u[:, 0] - chosen).abs() <= tol)

    def enter(self, x: Tensor, k: int, u: Tensor) -> tuple[Tensor, Tensor]:
        """Every set is around x."""
        return x, self.start(x)

    def lift(self, x: Tensor, k: int, held: Tensor, v: Tensor) -> Tensor:
        """Choose set k, with v in its block."""
        parts = self._options(x, held)
        parts[k] = v
        return join([torch.full_like(held[:, :1], k), *parts])

    def _options(self, x: Tensor, u: Tensor) -> list[Tensor]:
        """The parameters of each set, behind the choice."""
        return self._blocks(x, u[:, 1:])

    def _chosen(self, u: Tensor) -> Tensor:
        """(B,) the number of the nearest choice."""
        return u[:, 0].detach().nan_to_num(0).round().clamp(0, len(self.sets) - 1).to(torch.int64)

    def _rows(self, chosen: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Each set that some row has chosen, with these rows."""
        for k in range(len(self.sets)):
            rows = (chosen == k).nonzero().squeeze(1)
            if len(rows):
                yield k, rows

    def _moved(
        self, x: Tensor, u: Tensor, chosen: Tensor, move: Callable[[int, Tensor, Tensor], Tensor]
    ) -> Tensor:
        """(B, 1 + D) the choice, its block moved by ``move(k, rows, block)``, the rest at start."""
        v, moved = self._options(x, u), self._starts(x)
        for k, rows in self._rows(chosen):
            moved[k] = moved[k].index_copy(0, rows, move(k, rows, v[k][rows]))
        return join([chosen[:, None].to(u.dtype), *moved])

    def size(self, x: Tensor, u: Tensor) -> Tensor:
        """(B,) the size of the chosen block, in units of its set's own."""
        v, size = self._options(x, u), x.new_zeros(len(x))
        for k, rows in self._rows(self._chosen(u)):
            size[rows] = relative(self.sets[k][rows], x[rows], v[k][rows]).to(size.dtype)
        return size


@dataclass(frozen=True, init=False, repr=False, eq=False)
class _Sized(Sized, Union):
    """The same of sets that all have sizes."""


_Sized.__name__ = _Sized.__qualname__ = "Union"  # reports and journals know one
Union.twin = _Sized
