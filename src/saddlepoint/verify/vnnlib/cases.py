"""From a formula to cases: boxes of inputs, each with the outputs that are unsafe there."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from saddlepoint.core.errors import Unsupported
from saddlepoint.verify.vnnlib.dnf import Conjunction, dnf, product
from saddlepoint.verify.vnnlib.formula import And, Formula, Or, Row, name_of
from saddlepoint.verify.vnnlib.problem import Case, Clause
from saddlepoint.verify.vnnlib.sexpr import Source

__all__ = ["cases_of"]

_MOST_BOUNDS = 1 << 26  # numbers in all boxes together
_Vector = NDArray[np.float64]


@dataclass
class _Box:
    """Bounds, rows over several inputs, and the output rows of the alternatives that share them."""

    low: _Vector
    high: _Vector
    extra: list[Row] = field(default_factory=list)
    outputs: list[Conjunction] = field(default_factory=list)
    at: int = 0

    def within(self, rows: Iterable[Row]) -> "_Box":
        """Return the part of the box where the rows hold as well."""
        box = _Box(self.low.copy(), self.high.copy(), list(self.extra))
        for row in rows:
            box.at = box.at or row.at
            if len(row.terms) == 1:
                box.bound(row)
            else:
                box.extra.append(row)
        return box

    def bound(self, row: Row) -> None:
        """Apply a x_i + c >= 0, that is x_i >= -c / a or <=, by the sign of a."""
        ((i, a),) = row.terms
        limit = -row.constant / a + 0.0  # and never -0.0, which would make boxes differ
        if abs(a) != 1:  # the quotient is rounded: outwards, so that nothing asked for is lost
            limit = np.nextafter(limit, -np.inf if a > 0 else np.inf)
        if a > 0:
            self.low[i] = max(self.low[i], limit)
        else:
            self.high[i] = min(self.high[i], limit)

    def empty(self) -> bool:
        """Tell whether bounds contradict each other, or some row is negative in all the box."""
        if (self.low > self.high).any():
            return True
        return any(self._negative(row) for row in self.extra)

    def _negative(self, row: Row) -> bool:
        """Tell whether a row is below 0 in all the box, by more than rounding can pretend."""
        most = [a * float(self.high[i] if a > 0 else self.low[i]) for i, a in row.terms]
        total = sum(most) + row.constant  # infinite where an input is not bounded
        return total < -1e-12 * (sum(map(abs, most)) + abs(row.constant))

    def key(self) -> tuple[bytes, bytes, tuple[Row, ...]]:
        """Return what two boxes share exactly if they are the same."""
        rows = tuple(row._replace(at=0) for row in self.extra)
        return self.low.tobytes(), self.high.tobytes(), rows


def cases_of(
    formula: Formula, inputs: int, outputs: int, source: Source
) -> tuple[tuple[Case, ...], tuple[str, ...]]:
    """Return the cases of a formula, those with one box merged, and notes about empty boxes.

    Raises ``BadData`` where an input has no bound, ``Unsupported`` where the cases are too many.
    """
    fixed, mixed, after = _sorted(formula)
    base = _Box(np.full(inputs, -np.inf), np.full(inputs, np.inf)).within(fixed)
    whole = dnf(And(tuple(after)))
    boxes, empty = _boxes(base, dnf(And(tuple(mixed))))
    if len(boxes) * max(inputs, 1) > _MOST_BOUNDS:
        raise Unsupported(
            f"{source.name}: {len(boxes):,} boxes of {inputs:,} inputs are too many: at most "
            f"{_MOST_BOUNDS:,} bounds are taken"
        )
    for box in boxes:
        _require_bounds(box, source)
    clauses = (product(whole, box.outputs) for box in boxes)
    pairs = zip(boxes, clauses, strict=True)
    cases = tuple(_case(box, found, inputs, outputs) for box, found in pairs if found)
    return cases, _notes(cases, empty)


def _notes(cases: tuple[Case, ...], empty: int) -> tuple[str, ...]:
    if empty:
        rest = "" if cases else ", so the answer is unsat whatever the network"
        return (f"{empty} of the property's boxes are empty (a lower bound above an upper){rest}",)
    return () if cases else ("the property contradicts itself: unsat whatever the network",)


def _sorted(formula: Formula) -> tuple[list[Row], list[Formula], list[Formula]]:
    """Split the conjuncts: bounds that always hold, other parts with inputs, outputs only."""
    fixed: list[Row] = []
    mixed: list[Formula] = []
    after: list[Formula] = []
    for part in _conjuncts(formula):
        if not _has_inputs(part):
            after.append(part)
        elif isinstance(part, Row):
            fixed.append(part)
        else:
            mixed.append(part)
    return fixed, mixed, after


def _conjuncts(formula: Formula) -> Iterable[Formula]:
    if not isinstance(formula, And):
        return [formula]
    return [inner for part in formula.parts for inner in _conjuncts(part)]


def _has_inputs(formula: Formula) -> bool:
    if isinstance(formula, And | Or):
        return any(map(_has_inputs, formula.parts))
    return bool(formula.terms) and formula.terms[0][0] >= 0


def _boxes(base: _Box, alternatives: list[Conjunction]) -> tuple[list[_Box], int]:
    """Return the distinct boxes that are not empty, and how many alternatives were empty."""
    found: dict[Any, _Box] = {}
    empty = 0
    for conjunction in alternatives:
        rows = [row for row in conjunction if row.terms[0][0] >= 0]
        box = base.within(rows)
        if box.empty():
            empty += 1
            continue
        box = found.setdefault(box.key(), box)
        box.outputs.append(tuple(row for row in conjunction if row.terms[0][0] < 0))
    return list(found.values()), empty


def _require_bounds(box: _Box, source: Source) -> None:
    for side, values, sign in (("lower", box.low, ">="), ("upper", box.high, "<=")):
        open_ = np.flatnonzero(np.isinf(values))
        if len(open_):
            name = name_of(int(open_[0]))
            more = f" (and {len(open_) - 1} more)" if len(open_) > 1 else ""
            where = " in the alternative that begins here" if box.at else ""
            raise source.bad(
                box.at or len(source.text),
                f"{name}{more} has no {side} bound{where}: expected ({sign} {name} ...), as only "
                "bounded inputs can be verified",
            )


def _case(box: _Box, clauses: list[Conjunction], inputs: int, outputs: int) -> Case:
    A, a = _dense(box.extra, inputs, lambda v: v)
    filled = [rows or (Row((), 1.0),) for rows in clauses]
    # One tensor for all clauses, of which each gets a part: a file may have a hundred thousand.
    C, d = _dense([row for rows in filled for row in rows], outputs, lambda v: -1 - v)
    strict = torch.tensor([row.strict for rows in filled for row in rows])
    sizes = [len(rows) for rows in filled]
    made = map(Clause, *(torch.split(t, sizes) for t in (C, d, strict)))
    return Case(torch.from_numpy(box.low), torch.from_numpy(box.high), A, a, tuple(made))


def _dense(
    rows: Sequence[Row], size: int, place: Callable[[int], int]
) -> tuple[torch.Tensor, torch.Tensor]:
    matrix = np.zeros((len(rows), size))
    for r, row in enumerate(rows):
        for v, a in row.terms:
            matrix[r, place(v)] = a
    constants = np.array([row.constant for row in rows], dtype=np.float64)
    return torch.from_numpy(matrix), torch.from_numpy(constants)
