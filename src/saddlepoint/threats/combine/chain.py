"""Several sets one after another: the change of each is applied to what those before it made."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from saddlepoint.core.draw import Draw
from saddlepoint.core.shapes import put
from saddlepoint.threats.combine.members import Several, Sized, join, relative

__all__ = ["Chain"]


@dataclass(frozen=True, init=False, repr=False)
class Chain(Several):
    """{b(a(x, u_a), u_b) : u_a in a around x, u_b in b around a(x, u_a)}, also ``a >> b``.

    u is (B, D), the parameters of all sets side by side. ``project`` goes along the chain: each
    block is projected onto its set around what the blocks before it have made, so it is a member,
    but the nearest one only where no set depends on where it is. Not convex. Chains within it are
    taken apart. Where all sets have sizes, so has the chain: ``eps`` (1) is a factor on all of
    them, and the size of u the smallest factor that admits it.

    Raises ``Invalid`` for no set at all, and for sets with different input ranges.

    >>> from saddlepoint.threats import L2, Linf
    >>> chain, x = Chain(Linf(eps=0.1), L2(eps=0.5)), torch.tensor([[0.5, 0.5]])
    >>> u = chain.project(x, torch.tensor([[1.0, 0.0, 3.0, 4.0]]))
    >>> u, chain.apply(x, u)
    (tensor([[0.1000, 0.0000, 0.3000, 0.4000]]), tensor([[0.9000, 0.9000]]))
    """

    in_turn: ClassVar[bool] = True

    def start(self, x: Tensor) -> Tensor:
        """Every set at its start."""
        return join(self._starts(x))

    def sample(self, x: Tensor, draw: Draw) -> Tensor:
        """A random member of each set, around what those before it have made."""
        found: list[Tensor] = []
        for k, one in enumerate(self.parts):
            found.append(one.sample(x, draw.tag("member", k)))
            x = one.apply(x, found[-1])
        return join(found)

    def project(self, x: Tensor, u: Tensor) -> Tensor:
        """Project block by block, each around what the projected ones before it make."""
        found: list[Tensor] = []
        for one, v in zip(self.parts, self._blocks(x, u), strict=True):
            found.append(one.project(x, v))
            x = one.apply(x, found[-1])
        return join(found)

    def steepest(self, x: Tensor, u: Tensor, g: Tensor) -> Tensor:
        """Each set's own direction in its block."""
        along = zip(self._walk(x, u), self._blocks(x, g), strict=True)
        return join([one.steepest(centre, v, h) for (one, centre, v), h in along])

    def apply(self, x: Tensor, u: Tensor) -> Tensor:
        """Perturb as each set does, in order."""
        for one, v in zip(self.parts, self._blocks(x, u), strict=True):
            x = one.apply(x, v)
        return x

    def contains(self, x: Tensor, u: Tensor, tol: float) -> Tensor:
        """(B,) bool: every block is in its set, around what those before it make."""
        inside = torch.ones(len(x), dtype=torch.bool, device=x.device)
        x, u = x.double(), u.double()
        for one, v in zip(self.parts, self._blocks(x, u), strict=True):
            inside = inside & one.contains(x, v, tol)
            x = one.apply(x, put(inside, v, one.start(x)))  # nothing can be made of a NaN
        return inside

    def enter(self, x: Tensor, k: int, u: Tensor) -> tuple[Tensor, Tensor]:
        """Part k is around what the blocks of u before it make."""
        centre = [centre for _, centre, _ in self._walk(x, u)][k]
        return centre, u

    def lift(self, x: Tensor, k: int, held: Tensor, v: Tensor) -> Tensor:
        """Blocks before k as held, v as block k, the sets after it at their start."""
        found, before = [], self._blocks(x, held)
        for j, one in enumerate(self.parts):
            found.append(before[j] if j < k else v if j == k else one.start(x))
            x = one.apply(x, found[-1])
        return join(found)

    def _walk(self, x: Tensor, u: Tensor) -> Iterator[tuple[Any, Tensor, Tensor]]:
        """Each set with the input that it is around, and its block of u."""
        for one, v in zip(self.parts, self._blocks(x, u), strict=True):
            yield one, x, v
            x = one.apply(x, v)

    def size(self, x: Tensor, u: Tensor) -> Tensor:
        """(B,) the largest size of a block, in units of its set's own."""
        found = [
            relative(whole, centre, v)
            for whole, (_, centre, v) in zip(self.sets, self._walk(x, u), strict=True)
        ]
        return torch.stack([size.to(x.dtype) for size in found]).amax(0)


@dataclass(frozen=True, init=False, repr=False, eq=False)
class _Sized(Sized, Chain):
    """The same of sets that all have sizes."""


_Sized.__name__ = _Sized.__qualname__ = "Chain"  # reports and journals know one
Chain.twin = _Sized
