"""A set restricted to some of the input's values."""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import BadData, Invalid
from saddlepoint.core.shapes import flat
from saddlepoint.core.spec import text
from saddlepoint.core.threat import Convex, Graded, Gridded, ThreatModel, scattered
from saddlepoint.threats.combine.members import Several
from saddlepoint.threats.combine.operators import Combinable
from saddlepoint.threats.combine.region import Mask, canonical, checked, inside, read

__all__ = ["Masked"]


@dataclass(frozen=True, init=False, repr=False)
class Masked(Combinable):
    """{x + m (y - x) : y in ``base`` around x}, m the mask: other values stay as they are, exactly.

    mask: which values may change. An .npz file with one array, or one called ``mask``; a
    (first, end) for each of the last axes, such as ((8, 20), (8, 20)), None for a whole axis, or
    slices; or a tensor of zeros and ones. File and tensor have the shape of an input or of its
    last axes. sha256: of the file, as a run writes it; another content is refused.

    In a ball or ``L0`` a member stays one when some of its changes are undone. There u is zero
    outside the mask, ``project`` gives the nearest member, and ``maximise`` the exact maximum,
    which is base's for the gradient inside. Of any other set u is the base's own; the mask then
    only decides what of it is seen, and there is no ``maximise``.

    A union or a chain is masked set by set.

    values: the content of file or tensor.

    Raises ``Invalid`` for a mask without a value, and at the first input for one that does not fit.

    >>> from saddlepoint.threats import Linf
    >>> masked = Masked(Linf(eps=0.1), mask=((1, 2),))
    >>> masked, masked.maximise(torch.full((1, 3), 0.5), torch.tensor([[1.0, -2.0, 3.0]]))
    (Masked(Linf(eps=0.1), mask=((1, 2),)), tensor([[ 0.0000, -0.1000,  0.0000]]))
    """

    base: Any
    mask: Mask
    sha256: str | None = None
    values: Tensor | None = field(default=None, compare=False)

    kinds: ClassVar[dict[tuple[bool, bool, bool], "type[Masked]"]] = {}

    def __new__(cls, base: Any = None, *mask: Any, **named: Any) -> Any:  # noqa: ANN401
        """Pick the kind that has the verbs of the base."""
        if isinstance(base, Several):  # so that each of its sets can be searched by itself
            kind: Any = type(base)
            masked = [cls(one, *mask, **named) for one in base.sets]
            return kind(*masked, eps=getattr(base, "eps", 1.0))
        convex = isinstance(base, Convex) and _undoes(base)
        verbs = (convex, isinstance(base, Graded), isinstance(base, Gridded))
        return object.__new__(cls.kinds.get(verbs, cls))

    def __init__(self, base: Any, mask: Mask, sha256: str | None = None) -> None:  # noqa: ANN401
        if isinstance(base, type) or not isinstance(base, ThreatModel):
            raise Invalid("base", base, "a threat model such as Linf(eps=0.3)")
        if hasattr(base, "to_type"):
            raise Invalid("base", base, "a continuous set", "Quantize(Masked(…)) restricts both")
        values: Tensor | None = None
        if isinstance(mask, str):
            values, content = read(mask)
            if sha256 not in (None, content):
                raise BadData(f"{mask} is not the mask of the run: its content has changed")
            sha256 = content
        elif isinstance(mask, Tensor):
            values = checked(mask, "the tensor")
        else:
            mask = canonical(mask)
        for name, value in (
            ("base", base),
            ("mask", mask),
            ("sha256", sha256),
            ("values", values),
        ):
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        known = "" if self.sha256 is None else f", sha256={self.sha256!r}"
        return f"Masked({self.base!r}, mask={text(self.mask)}{known})"

    def _with(self, base: Any) -> Self:  # noqa: ANN401
        other: Any = object.__new__(type(self))
        for name in ("mask", "sha256", "values"):
            object.__setattr__(other, name, getattr(self, name))
        object.__setattr__(other, "base", base)
        return other  # type: ignore[no-any-return]

    def __getitem__(self, keep: Tensor) -> Self:
        return self._with(self.base[keep])

    def to(self, device: torch.device) -> Self:
        """Move what the base holds to a device; the mask follows the inputs."""
        return self._with(self.base.to(device)) if hasattr(self.base, "to") else self

    @property
    def box(self) -> tuple[float, float]:
        """The input range."""
        low, high = getattr(self.base, "box", (0.0, 1.0))
        return low, high

    @property
    def undoes(self) -> bool:
        """Whether a member stays one when some of its changes are undone."""
        return _undoes(self.base)

    @property
    def parametric(self) -> bool:
        """Whether u is something else than the change."""
        return not _undoes(self.base)

    @property
    def scattered(self) -> bool:
        """Whether the base is in pieces."""
        return scattered(self.base)

    @property
    def costly(self) -> bool:
        """Whether a projection of the base costs as much as many answers."""
        return bool(getattr(self.base, "costly", False))

    def start(self, x: Tensor) -> Tensor:
        """Parameters that change nothing; checks that the mask fits."""
        self._kept(x)
        u: Tensor = self.base.start(x)
        return u

    def sample(self, x: Tensor, draw: Draw) -> Tensor:
        """What is inside the mask of a random member of the base."""
        return self._cut(x, self.base.sample(x, draw))

    def project(self, x: Tensor, u: Tensor) -> Tensor:
        """Nearest member: that of the base, of what is inside the mask."""
        return self._cut(x, self.base.project(x, self._cut(x, u)))

    def steepest(self, x: Tensor, u: Tensor, g: Tensor) -> Tensor:
        """The base's own direction for the gradient inside the mask."""
        return self._cut(x, self.base.steepest(x, u, self._cut(x, g)))

    def apply(self, x: Tensor, u: Tensor) -> Tensor:
        """The base's input inside the mask, x itself outside."""
        return torch.where(self._kept(x), self.base.apply(x, u), x)

    def contains(self, x: Tensor, u: Tensor, tol: float) -> Tensor:
        """(B,) bool: in the base, and not a single change outside the mask."""
        member: Tensor = self.base.contains(x, u, tol)
        if not self._cuts(x, u):
            return member
        return member & (flat(u) == flat(self._cut(x, u))).all(1)

    def _kept(self, x: Tensor) -> Tensor:
        """(*F) bool, where x is."""
        mask: Any = self.mask if self.values is None else self.values
        return inside(mask, tuple(x.shape[1:])).to(x.device)

    def _cuts(self, x: Tensor, u: Tensor) -> bool:
        return _undoes(self.base) and u.shape == x.shape

    def _cut(self, x: Tensor, u: Tensor) -> Tensor:
        """U with zeros outside the mask, where u is a change of the input."""
        return torch.where(self._kept(x), u, 0) if self._cuts(x, u) else u


class _Convexly:
    """Of a convex base: its maximum and its hull."""

    base: Any

    def maximise(self, x: Tensor, g: Tensor) -> Tensor:
        """Return argmax <g, u>: the base's for the gradient inside the mask."""
        me: Any = self
        best: Tensor = me._cut(x, self.base.maximise(x, me._cut(x, g)))
        return best

    def hull(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Smallest box around the members."""
        me: Any = self
        low, high = self.base.hull(x)
        kept = me._kept(x)
        return torch.where(kept, low, x), torch.where(kept, high, x)

    @property
    def is_box(self) -> bool:
        """Whether the hull holds nothing but members."""
        return bool(getattr(self.base, "is_box", False))

    @property
    def order(self) -> float:
        """Of the norm that the base is a ball in; an ``AttributeError`` where it is none."""
        return float(self.base.order)


class _Sized:
    """Of a base with sizes: those."""

    base: Any

    @property
    def eps(self) -> float | Tensor:
        """The base's size."""
        size: float | Tensor = self.base.eps
        return size

    def size(self, x: Tensor, u: Tensor) -> Tensor:
        """(B,) the base's size of u."""
        length: Tensor = self.base.size(x, u)
        return length

    def at(self, eps: float | Tensor) -> Self:
        """Return the same values of a base of another size."""
        me: Any = self
        return me._with(self.base.at(eps))  # type: ignore[no-any-return]


class _Gridly:
    """Of a base that a grid can cover: its grid."""

    base: Any

    @property
    def counts(self) -> tuple[int, ...]:
        """The base's usual grid."""
        points: tuple[int, ...] = self.base.counts
        return points

    def place(self, x: Tensor, t: Tensor) -> Tensor:
        """(B, *P) the base's member at t (B, k)."""
        me: Any = self
        member: Tensor = me._cut(x, self.base.place(x, t))
        return member


class _MaskedSized(_Sized, Masked):
    """Masked, of a base with sizes."""


class _MaskedGrid(_Gridly, Masked):
    """Masked, of a base that a grid can cover."""


class _MaskedSizedGrid(_Gridly, _Sized, Masked):
    """Masked, of a base with sizes that a grid can cover."""


class _MaskedConvex(_Convexly, Masked):
    """Masked, of a convex base."""


class _MaskedBoth(_Convexly, _Sized, Masked):
    """Masked, of a convex base with sizes."""


Masked.kinds |= {
    (False, True, False): _MaskedSized,
    (False, False, True): _MaskedGrid,
    (False, True, True): _MaskedSizedGrid,
    (True, False, False): _MaskedConvex,
    (True, True, False): _MaskedBoth,
}
for _kind in Masked.kinds.values():
    _kind.__name__ = _kind.__qualname__ = "Masked"  # reports and journals know one


def _undoes(base: object) -> bool:
    """Whether a member of the base stays one when some of its changes are undone."""
    return bool(getattr(base, "undoes", False))
