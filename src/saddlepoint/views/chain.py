"""Several transformations in order, as one."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor

from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid
from saddlepoint.core.expectation import Distribution
from saddlepoint.views.warp import warp

__all__ = ["Chain", "then"]


@runtime_checkable
class Geometry(Protocol):
    """A transformation that moves the points of a picture by a projective map."""

    @property
    def padding(self) -> str:
        """What lies beyond the edge."""
        ...

    def matrix(self, x: Tensor, draw: Draw) -> Tensor:
        """(B, 3, 3) from the points of the new picture to those of the old one."""
        ...


def then(first: Distribution, second: Distribution) -> "Chain":
    """Join two transformations; usable as ``__rshift__``."""
    parts = [p.parts if isinstance(p, Chain) else (p,) for p in (first, second)]
    return Chain((*parts[0], *parts[1]))


@dataclass(frozen=True, repr=False)
class Chain:
    """The parts one after the other, each with randomness of its own.

    Geometric parts in a row are one map: the picture is sampled once and loses no sharpness, and
    what leaves the frame on the way may come back.

    >>> from saddlepoint.views import Noise, Rotate, Scale
    >>> Rotate(30) >> Scale((0.8, 1.2)) >> Noise(0.05)
    Rotate(degrees=30) >> Scale((0.8, 1.2)) >> Noise(sigma=0.05)
    """

    parts: tuple[Distribution, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.parts, tuple) or not self.parts:
            raise Invalid("parts", self.parts, "a tuple of at least one transformation")
        strange: list[object] = [p for p in self.parts if not isinstance(p, Distribution)]
        if strange:
            allowed = "transformations, such as Rotate(30)"
            raise Invalid("parts", f"<{type(strange[0]).__name__}>", allowed)

    __rshift__ = then

    def __repr__(self) -> str:
        return " >> ".join(map(repr, self.parts))

    @property
    def still(self) -> bool:
        """Whether no part ever does anything."""
        return all(part.still for part in self.parts)

    def check(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape after the last part."""
        for part in self.parts:
            shape = part.check(shape)
        return shape

    def __call__(self, x: Tensor, draw: Draw) -> Tensor:
        """Transform each sample."""
        held: tuple[Tensor, str] | None = None  # of geometric parts that wait to be joined
        for i, part in enumerate(self.parts):
            stream = draw.tag("part", i)
            turns = isinstance(part, Geometry)
            if held is not None and not (turns and part.padding == held[1]):  # type: ignore[attr-defined]
                x, held = warp(x, *held), None
            if isinstance(part, Geometry):
                matrix = part.matrix(x, stream)
                # The last map is the first that a point of the new picture goes back through.
                joined = matrix if held is None else product(held[0], matrix)
                held = (joined, part.padding)
            else:
                x = part(x, stream)
        return x if held is None else warp(x, *held)


def product(a: Tensor, b: Tensor) -> Tensor:
    """(B, 3, 3) matrix products, entry by entry: the same in every batch."""
    return (a[:, :, :, None] * b[:, None, :, :]).sum(2)
