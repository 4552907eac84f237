"""What sets made of several sets share: their members, one size for all, and flat parameters."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from saddlepoint.core.errors import Invalid
from saddlepoint.core.shapes import flat
from saddlepoint.core.spec import text
from saddlepoint.core.threat import Graded, ThreatModel, graded
from saddlepoint.threats.combine.operators import Combinable

__all__ = ["Several", "Sized", "join", "relative"]

_UP = 1 + 2.5e-7  # a share of a count, times the count, has to reach the count again in float32


@dataclass(frozen=True, init=False, repr=False)
class Several(Combinable):
    """A set made of ``sets``, whose parameters are laid side by side.

    A kind of it has a twin for sets that all have sizes: ``eps`` is then a factor on all of them.
    """

    parametric: ClassVar[bool] = True
    twin: ClassVar["type[Several] | None"] = None
    sets: tuple[Any, ...]

    def __new__(cls, *sets: Any, **_: Any) -> "Several":  # noqa: ANN401
        """Pick the twin where all sets have sizes."""
        apart = cls._apart(sets)
        sized = bool(apart) and all(isinstance(one, Graded) for one in apart)
        return object.__new__(cls.twin if sized and cls.twin is not None else cls)

    def __init__(self, *sets: Any, eps: float | Tensor = 1.0) -> None:  # noqa: ANN401
        object.__setattr__(self, "sets", self._apart(sets))
        _check_sets(type(self).__name__, self.sets)
        if isinstance(eps, Tensor) or eps != 1:
            _check_factor(eps)
            for one in self.sets:
                graded(one)  # refuses a factor on what has no size

    @classmethod
    def _apart(cls, sets: tuple[Any, ...]) -> tuple[Any, ...]:
        """The sets, with those of the same kind taken apart."""
        name = cls.__name__
        return tuple(
            part for one in sets for part in (one.parts if type(one).__name__ == name else (one,))
        )

    def __repr__(self) -> str:
        said, eps = [repr(one) for one in self.sets], getattr(self, "eps", 1.0)
        if isinstance(eps, Tensor) or eps != 1:
            said.append(f"eps={text(eps)}")
        return f"{type(self).__name__}({', '.join(said)})"

    def __getitem__(self, keep: Tensor) -> Self:
        return type(self)(*[one[keep] for one in self.sets])

    def to(self, device: torch.device) -> Self:
        """Move the sets to a device."""
        return type(self)(*[_to(one, device) for one in self.sets])

    @property
    def parts(self) -> tuple[Any, ...]:
        """The sets, each of its present size."""
        return self.sets

    @property
    def box(self) -> tuple[float, float]:
        """The input range that all sets share."""
        return _box(self.sets[0])

    def _starts(self, x: Tensor) -> list[Tensor]:
        return [one.start(x) for one in self.sets]

    def _blocks(self, x: Tensor, u: Tensor) -> list[Tensor]:
        """Cut u (B, D) into the parameters of each set."""
        starts = self._starts(x)
        parts = torch.split(u, [flat(s).shape[1] for s in starts], dim=1)
        return [p.reshape(s.shape) for p, s in zip(parts, starts, strict=True)]


@dataclass(frozen=True, init=False, repr=False)
class Sized:
    """Of sets that all have sizes: their common factor."""

    sets: tuple[Any, ...]
    eps: float | Tensor = 1.0

    def __init__(self, *sets: Any, eps: float | Tensor = 1.0) -> None:  # noqa: ANN401
        super().__init__(*sets, eps=eps)  # type: ignore[call-arg]
        object.__setattr__(self, "eps", eps)

    def __getitem__(self, keep: Tensor) -> Self:
        eps = self.eps[keep] if isinstance(self.eps, Tensor) else self.eps
        return type(self)(*[one[keep] for one in self.sets], eps=eps)

    def to(self, device: torch.device) -> Self:
        """Move the sets, and their factor where it is a tensor, to a device."""
        return type(self)(*[_to(one, device) for one in self.sets], eps=_to(self.eps, device))

    @property
    def parts(self) -> tuple[Any, ...]:
        """The sets, each of its present size."""
        return tuple(_scaled(one, self.eps) for one in self.sets)

    def at(self, eps: float | Tensor) -> Self:
        """Return the same of sets with eps times their own sizes."""
        return type(self)(*self.sets, eps=eps)


def join(parts: Sequence[Tensor]) -> Tensor:
    """(B, D) blocks side by side."""
    return torch.cat([flat(p) for p in parts], dim=1)


def relative(one: Any, x: Tensor, v: Tensor) -> Tensor:  # noqa: ANN401
    """(B,) the size of v in units of the set's own; infinite beyond a set of size zero."""
    size: Tensor = one.size(x, v).to(x.dtype)
    own = torch.as_tensor(one.eps, dtype=size.dtype, device=size.device).expand(len(x))
    beyond = torch.where(size > 0, torch.inf, 0.0).to(size.dtype)
    return torch.where(own > 0, size / torch.where(own > 0, own, 1), beyond)


def _scaled(one: Any, eps: float | Tensor) -> Any:  # noqa: ANN401 - a set with sizes
    """Return the set with eps times its size; at 1 it is the set itself."""
    if not isinstance(eps, Tensor):
        return one if eps == 1 else one.at(one.eps * eps * _UP)
    size = torch.as_tensor(one.eps, dtype=eps.dtype, device=eps.device)
    return one.at(torch.where(eps == 1, size, size * eps * _UP))


def _box(one: Any) -> tuple[float, float]:  # noqa: ANN401 - a threat model
    low, high = getattr(one, "box", (0.0, 1.0))
    return float(low), float(high)


def _check_sets(name: str, sets: Sequence[Any]) -> None:
    if not sets:
        raise Invalid("sets", "()", f"at least one, such as {name}(Linf(0.3), L2(2))")
    for one in sets:
        if isinstance(one, type) or not isinstance(one, ThreatModel):
            raise Invalid("sets", one, "threat models such as Linf(eps=0.3)")
    for one in sets:
        if _box(one) != _box(sets[0]):
            said = f"<{_box(sets[0])} of {sets[0]!r}, {_box(one)} of {one!r}>"
            raise Invalid("box", said, "one input range for all sets")


def _check_factor(eps: Any) -> None:  # noqa: ANN401
    good = isinstance(eps, Tensor | int | float) and not isinstance(eps, bool)
    value = torch.as_tensor(eps if good else -1.0)
    if value.dim() > 1 or not bool((value.isfinite() & (value >= 0)).all()):
        raise Invalid("eps", eps, "a finite factor >= 0 of the sizes of all sets, or (B,) of them")


def _to(part: Any, device: torch.device) -> Any:  # noqa: ANN401 - a threat model, or a size
    return part.to(device) if hasattr(part, "to") else part
