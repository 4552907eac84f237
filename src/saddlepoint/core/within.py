"""Views of an oracle in which the set is one part of a larger set."""

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor

from saddlepoint.core.goal import Goal
from saddlepoint.core.ledger import Ledger, of_rows
from saddlepoint.core.shapes import INF, put
from saddlepoint.core.threat import Graded, Parted, graded, parted, radii

__all__ = ["Inside", "Within"]


class _Best:
    """The worst point of each row that a view has seen, which may be better than the ledger's."""

    def __init__(self, u: Tensor, margin: Tensor) -> None:
        self.u, self.margin = u, margin


@dataclass(frozen=True, eq=False)
class Inside:
    """Where a view lies: in part ``k`` of the set ``whole`` around ``x``, or deeper.

    held: (B, *P) what ``whole.lift`` has to know. unit: (B,) the size of the part that belongs to
    size 1 of the outermost set, None where that has no sizes. rows: the view's in ``best``.
    """

    whole: Parted
    x: Tensor
    k: int
    held: Tensor
    best: _Best
    unit: Tensor | None = None
    outer: "Inside | None" = None
    rows: Tensor | None = None

    def __getitem__(self, keep: Tensor) -> "Inside":
        return replace(
            self,
            whole=self.whole[keep],
            x=self.x[keep],
            held=self.held[keep],
            unit=None if self.unit is None else self.unit[keep],
            outer=None if self.outer is None else self.outer[keep],
            rows=keep if self.rows is None else self.rows[keep],
        )

    def lift(self, v: Tensor) -> Tensor:
        """(B, *P) parameters of the outermost set."""
        u = self.whole.lift(self.x, self.k, self.held, v)
        return u if self.outer is None else self.outer.lift(u)

    @property
    def root(self) -> tuple[Any, Tensor]:
        """The outermost set, and the inputs that it is around."""
        return (self.whole, self.x) if self.outer is None else self.outer.root

    @property
    def worst(self) -> Tensor:
        """(B, *P) the worst parameters of the part that this view has seen."""
        return self.best.u if self.rows is None else self.best.u[self.rows]

    def see(self, asked: Tensor, v: Tensor, margin: Tensor) -> None:
        """Remember the rows that beat what the view has seen."""
        best, rows = self.best, self.rows
        if rows is None:
            better = asked & (margin > best.margin)
            best.u, best.margin = put(better, v, best.u), torch.where(better, margin, best.margin)
            return
        better = asked & (margin > best.margin[rows])
        best.u, best.margin = best.u.clone(), best.margin.clone()
        best.u[rows[better]], best.margin[rows[better]] = v[better], margin[better]


class Within(ABC):
    """What oracles share about sets that have parts."""

    x: Tensor
    threat: Any
    goal: Goal
    clean: Any  # scores of the unperturbed inputs
    ledger: Ledger
    _index: Tensor | None
    _inside: Inside | None = None
    _until: Tensor | None = None

    @property
    @abstractmethod
    def worst(self) -> Tensor:
        """(B, *P) the worst parameters seen so far: where a later attack can go on."""

    @property
    def _least(self) -> Tensor:
        """(B,) what a point has to beat: the margin of the clean input."""
        margin = self.goal.margin(self.clean).double()
        return torch.where(margin.isnan(), -INF, margin)

    @property
    def _root(self) -> tuple[Any, Tensor]:
        """The set that the search is about, and the inputs that it is around."""
        return (self.threat, self.x) if self._inside is None else self._inside.root

    def within(self, k: int, after: bool = False) -> Self:
        """Return the same rows and the same ledger, with part k of the set in its place.

        after: go on from the worst point so far, where the set lets parts do so. Raises
        ``Unsupported`` where the set has no such part.
        """
        whole = parted(self.threat, k)
        view: Any = copy.copy(self)
        u = self.worst if after else whole.start(self.x)
        view.x, held = whole.enter(self.x, k, u)
        view.threat = whole.parts[k]
        unit, outer = _ratio(whole, view.threat, self.x), self._inside
        if unit is not None:
            view._until = None if self._until is None else _times(self._until, unit)
        if outer is not None:
            unit = None if unit is None or outer.unit is None else unit * outer.unit
        best = _Best(view.threat.start(view.x), self._least)
        view._inside = Inside(whole, self.x, k, held, best, unit, outer)
        return view  # type: ignore[no-any-return]

    def narrow(self, eps: Tensor) -> Self:
        """Return the same rows and ledger, with the set cut to the size eps (B,), and no larger.

        A row of the view rests as soon as a break of that size is known; an infinite size rests it
        at once.
        """
        threat = graded(self.threat)
        view: Any = copy.copy(self)
        view._until = eps
        view.threat = threat.at(torch.minimum(eps, radii(threat, self.x)))
        return view  # type: ignore[no-any-return]

    def reached(self) -> Tensor:
        """(B,) the smallest size of a break known so far, infinite where there is none."""
        size = self._measured(of_rows(self.ledger.u, self._index))
        return torch.where(of_rows(self.ledger.broken, self._index), size, INF)

    def _lifted(self, u: Tensor) -> Tensor:
        """(B, *P) parameters of the set that the search is about."""
        return u if self._inside is None else self._inside.lift(u)

    def _measured(self, u: Tensor) -> Tensor:
        """(B,) sizes of parameters of the set that the search is about, in the view's own units."""
        threat, x = self._root
        unit = None if self._inside is None else self._inside.unit
        if self._inside is not None and unit is None:  # no size says how far these two are apart
            return radii(graded(self.threat), self.x)
        size = graded(threat).size(x, u)
        return size if unit is None else size * unit


def _ratio(whole: object, part: object, x: Tensor) -> Tensor | None:
    """(B,) the size of the part in units of the whole's; None where one of them has no sizes."""
    if not isinstance(whole, Graded) or not isinstance(part, Graded):
        return None
    size = radii(whole, x)
    return torch.where(size > 0, radii(part, x) / size, 1)


def _times(size: Tensor, unit: Tensor) -> Tensor:
    """(B,) the product; an infinite size stays infinite."""
    return torch.where(size.isinf(), size, size * unit)
