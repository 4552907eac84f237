"""A threat model is a set with verbs: which inputs may replace x, and how to move among them.

x is (B, *F), a batch of inputs in the model's input range. u is (B, *P), the parameters of the
perturbation: for a ball u is the perturbation itself, for a rotation it is (angle, shift), for a
patch its content. Every verb acts per sample.
"""

from typing import Any, Protocol, Self, runtime_checkable

import torch
from torch import Tensor

from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Unsupported

__all__ = [
    "MEMBER",
    "Convex",
    "Described",
    "Graded",
    "GradedConvex",
    "Gridded",
    "Parted",
    "ThreatModel",
    "graded",
    "parametric",
    "parted",
    "radii",
    "scattered",
]

MEMBER = 1e-6
"""Slack of membership: rounding cannot tell such points from the boundary."""


@runtime_checkable
class ThreatModel(Protocol):
    """The set of inputs that the adversary may put in the place of x."""

    def start(self, x: Tensor) -> Tensor:
        """Parameters that change nothing: ``apply(x, start(x)) == x``."""
        ...

    def sample(self, x: Tensor, draw: Draw) -> Tensor:
        """Return a random member."""
        ...

    def project(self, x: Tensor, u: Tensor) -> Tensor:
        """Return the nearest member, input range included."""
        ...

    def steepest(self, x: Tensor, u: Tensor, g: Tensor) -> Tensor:
        """Ascent direction for the gradient g at u that pairs with project; one radius long."""
        ...

    def apply(self, x: Tensor, u: Tensor) -> Tensor:
        """Return the perturbed input."""
        ...

    def contains(self, x: Tensor, u: Tensor, tol: float) -> Tensor:
        """(B,) bool, in float64 and never by way of project."""
        ...

    def __getitem__(self, keep: Tensor) -> Self:
        """Return the threat model of the sub-batch."""
        ...


@runtime_checkable
class Convex(ThreatModel, Protocol):
    """A set over which a linear function can be maximised exactly."""

    def maximise(self, x: Tensor, g: Tensor) -> Tensor:
        """Return argmax <g, u> over the set."""
        ...


@runtime_checkable
class Graded(ThreatModel, Protocol):
    """Nested sets, one for each size."""

    @property
    def eps(self) -> float | Tensor:
        """The size of this set: a number, or one for each row (B,)."""
        ...

    def size(self, x: Tensor, u: Tensor) -> Tensor:
        """(B,) the smallest size whose set holds u."""
        ...

    def at(self, eps: float | Tensor) -> Self:
        """Return the same kind of set with another size; all of the input range is the largest."""
        ...


@runtime_checkable
class GradedConvex(Convex, Graded, Protocol):
    """Nested convex sets: the nearest point that a linear function asks for can be found."""


@runtime_checkable
class Gridded(ThreatModel, Protocol):
    """A set of few parameters, each in a range, so that a grid can cover it."""

    @property
    def counts(self) -> tuple[int, ...]:
        """How many points the usual grid has along each of the k parameters."""
        ...

    def place(self, x: Tensor, t: Tensor) -> Tensor:
        """(B, *P) the member at t (B, k), each coordinate from 0 to 1 along one parameter."""
        ...


@runtime_checkable
class Described(Protocol):
    """A set that can say in words what it allows, and what a member does."""

    @property
    def words(self) -> str:
        """The set, as the end of a sentence without its full stop."""
        ...

    def tell(self, u: Tensor) -> list[str]:
        """One short text for each row of u (B, *P)."""
        ...


@runtime_checkable
class Parted(ThreatModel, Protocol):
    """A set made of sets, its parts, each of which can be searched by itself."""

    @property
    def parts(self) -> tuple[Any, ...]:
        """The sets."""
        ...

    @property
    def in_turn(self) -> bool:
        """Whether a part can go on from what the parts before it have done."""
        ...

    def enter(self, x: Tensor, k: int, u: Tensor) -> tuple[Tensor, Tensor]:
        """Return the input that part k is around, given u (B, *P), and what ``lift`` has to know.

        The parts before k are as in u where ``in_turn`` holds, those after it at their start.
        """
        ...

    def lift(self, x: Tensor, k: int, held: Tensor, v: Tensor) -> Tensor:
        """Return parameters (B, *P) of the whole that do what v does in part k."""
        ...


def parted(threat: object, k: int = 0) -> Parted:
    """Return the set if it has a part k; raises ``Unsupported`` where it has none."""
    if not isinstance(threat, Parted):
        raise Unsupported(f"{type(threat).__name__} has no parts: it is one set")
    if not 0 <= k < len(threat.parts):
        raise Unsupported(f"{threat!r} has parts 0 to {len(threat.parts) - 1}, and no part {k}")
    return threat


def graded(threat: object) -> Graded:
    """Return the set if its members have sizes; raises ``Unsupported`` where they have none."""
    if not isinstance(threat, Graded):
        said = f"{type(threat).__name__} is one set, not one for each size: it has no size and at"
        raise Unsupported(said)
    return threat


def parametric(threat: object) -> bool:
    """Whether u is something else than ``apply(x, u) - x``, so that a witness has to name it.

    Such a set says so by an attribute of that name.

    >>> from saddlepoint.threats import Linf
    >>> parametric(Linf(eps=0.5))
    False
    """
    return bool(getattr(threat, "parametric", False))


def radii(threat: Graded, x: Tensor) -> Tensor:
    """(B,) the size of the set around each row, like x in type and place.

    >>> from saddlepoint.threats import Linf
    >>> radii(Linf(eps=0.5), torch.zeros(2, 3))
    tensor([0.5000, 0.5000])
    """
    return torch.as_tensor(threat.eps, dtype=x.dtype, device=x.device).expand(len(x))


def scattered(threat: object) -> bool:
    """Whether the set is in pieces, so that no ascent leads from one to all others.

    Such a set says so by an attribute of that name.

    >>> from saddlepoint.threats import Linf
    >>> scattered(Linf(eps=0.5))
    False
    """
    return bool(getattr(threat, "scattered", False))
