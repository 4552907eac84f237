"""From s-expressions to formulas: arithmetic must be linear, and is done in float64."""

import math
import re
from collections.abc import Callable, Collection
from typing import NamedTuple

from saddlepoint.core.errors import closest
from saddlepoint.verify.vnnlib.formula import And, Formula, Or, Row, name_of
from saddlepoint.verify.vnnlib.sexpr import Expression, Form, Source, Word, shown

__all__ = ["Reader", "number", "variable"]

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_VARIABLE = re.compile(r"([XY])_(0|[1-9][0-9]{0,8})", re.ASCII)
_COMPARISONS = {"<=": (-1.0, False), ">=": (1.0, False), "<": (-1.0, True), ">": (1.0, True)}
_KNOWN = "and, or, <=, >=, <, >, ="


class _Sum(NamedTuple):
    """A linear expression: what multiplies each variable, and the constant."""

    terms: dict[int, float]
    constant: float

    def plus(self, other: "_Sum", factor: float) -> "_Sum":
        terms = dict(self.terms)
        for v, a in other.terms.items():
            terms[v] = terms.get(v, 0.0) + factor * a
        return _Sum(terms, self.constant + factor * other.constant)

    def times(self, factor: float) -> "_Sum":
        return _Sum({v: factor * a for v, a in self.terms.items()}, factor * self.constant)


def number(text: str) -> float | None:
    """Return the float64 nearest to a decimal, or None if the word is not a decimal.

    >>> number("-1.5e-3"), number("1."), number("nan"), number("0x1")
    (-0.0015, 1.0, None, None)
    """
    return float(text) if _NUMBER.fullmatch(text) else None


def variable(text: str) -> int | None:
    """Return i for X_i and -1 - j for Y_j, or None for any other word.

    >>> variable("X_12"), variable("Y_0"), variable("Z_0"), variable("X_01")
    (12, -1, None, None)
    """
    match = _VARIABLE.fullmatch(text)
    if match is None:
        return None
    index = int(match.group(2))
    return index if match.group(1) == "X" else -1 - index


class Reader:
    """Reads formulas of one file over the variables that it declares."""

    def __init__(self, source: Source, declared: Collection[int]) -> None:
        self._source, self._declared = source, declared

    def formula(self, expression: Expression) -> Formula:
        """Return what an assertion says.

        Raises ``BadData`` for what is not a formula over declared variables, ``Unsupported`` for
        what is not linear, relates inputs to outputs, or uses other connectives.
        """
        if isinstance(expression, Word) or not expression.items:
            raise self._source.bad(
                expression.at,
                f"found {shown(expression)!r}: expected a formula such as (<= X_0 1.0)",
            )
        head, *rest = expression.items
        name = head.text if isinstance(head, Word) else ""
        if name in _COMPARISONS:
            return self._row(expression, *_COMPARISONS[name])
        if name == "=":
            return And((self._row(expression, 1.0, False), self._row(expression, -1.0, False)))
        if name in ("and", "or"):
            parts = tuple(self.formula(part) for part in rest)
            if not parts:
                raise self._source.bad(expression.at, f"({name}) is empty: expected formulas in it")
            return And(parts) if name == "and" else Or(parts)
        if name in ("not", "=>", "xor", "ite", "let", "forall", "exists", "distinct"):
            words = f"{name} is not part of VNN-LIB 1.0 as we read it; known: {_KNOWN}"
            raise self._source.unsupported(head.at, words)
        hint = closest(name, ["and", "or"]) if name.isalpha() else f"known: {_KNOWN}"
        raise self._source.bad(head.at, f"found {shown(head)!r}: expected a formula; {hint}")

    def _row(self, form: Form, sign: float, strict: bool) -> Row:
        if len(form.items) != 3:
            found = len(form.items) - 1
            raise self._source.bad(
                form.at, f"{shown(form)!r} compares {found} expressions: expected 2"
            )
        simple = self._bound(form, sign)
        if simple is not None:
            return Row(*simple, strict, form.at)
        left, right = self._sum(form.items[1]), self._sum(form.items[2])
        total = left.times(sign).plus(right, -sign)
        numbers = (*total.terms.values(), total.constant)
        if not all(map(math.isfinite, numbers)):
            raise self._source.bad(form.at, f"{shown(form)!r} has numbers beyond float64's range")
        terms = tuple(sorted((v, a) for v, a in total.terms.items() if a))
        if terms and terms[0][0] < 0 <= terms[-1][0]:
            first, last = name_of(terms[0][0]), name_of(terms[-1][0])
            raise self._source.unsupported(
                form.at,
                f"{shown(form)!r} relates an output ({first}) to an input ({last}): each "
                "comparison must be about inputs only or outputs only",
            )
        return Row(terms, total.constant, strict, form.at)

    def _bound(self, form: Form, sign: float) -> tuple[tuple[tuple[int, float], ...], float] | None:
        """Return the terms and the constant of (<= X_0 1.5), the form that files are made of."""
        left, right = form.items[1:]
        if not (isinstance(left, Word) and isinstance(right, Word)):
            return None
        which, value = variable(left.text), number(right.text)
        if which is None or value is None or which not in self._declared or math.isinf(value):
            return None
        return ((which, sign),), -sign * value

    def _sum(self, expression: Expression) -> _Sum:
        if isinstance(expression, Word):
            return self._leaf(expression)
        head = expression.items[0] if expression.items else None
        name = head.text if isinstance(head, Word) else ""
        if name not in _ARITHMETIC or len(expression.items) < 2:
            raise self._source.bad(
                expression.at,
                f"found {shown(expression)!r}: expected a number, a variable, or + - * / of these",
            )
        parts = [self._sum(part) for part in expression.items[1:]]
        found = _ARITHMETIC[name](parts)
        if found is None:
            raise self._source.unsupported(
                expression.at, f"{shown(expression)!r} is not linear with finite factors"
            )
        return found

    def _leaf(self, word: Word) -> _Sum:
        value = number(word.text)
        if value is not None:
            if math.isinf(value):
                raise self._source.bad(word.at, f"{shown(word)} is beyond float64's range")
            return _Sum({}, value)
        which = variable(word.text)
        if which is None:
            raise self._source.bad(
                word.at, f"found {shown(word)!r}: expected a number or a variable X_i or Y_j"
            )
        if which not in self._declared:
            raise self._source.bad(
                word.at,
                f"{word.text} is not declared: expected (declare-const {word.text} Real) before",
            )
        return _Sum({which: 1.0}, 0.0)


def _added(parts: list[_Sum]) -> _Sum:
    total = _Sum({}, 0.0)
    for part in parts:
        for v, a in part.terms.items():
            total.terms[v] = total.terms.get(v, 0.0) + a
        total = _Sum(total.terms, total.constant + part.constant)
    return total


def _subtracted(parts: list[_Sum]) -> _Sum:
    first, *rest = parts
    return first.plus(_added(rest), -1.0) if rest else first.times(-1.0)


def _multiplied(parts: list[_Sum]) -> _Sum | None:
    total = _Sum({}, 1.0)
    for part in parts:
        if total.terms and part.terms:
            return None
        total = part.times(total.constant) if part.terms else total.times(part.constant)
    return total


def _divided(parts: list[_Sum]) -> _Sum | None:
    first, *rest = parts
    for part in rest:
        if part.terms or part.constant == 0 or math.isinf(1 / part.constant):
            return None
        terms = {v: a / part.constant for v, a in first.terms.items()}
        first = _Sum(terms, first.constant / part.constant)
    return first


_ARITHMETIC: dict[str, Callable[[list[_Sum]], _Sum | None]] = {
    "+": _added,
    "-": _subtracted,
    "*": _multiplied,
    "/": _divided,
}
