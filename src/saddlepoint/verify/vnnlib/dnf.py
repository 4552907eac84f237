"""Disjunctive normal form, with a limit on its size."""

from saddlepoint.core.errors import Unsupported
from saddlepoint.verify.vnnlib.formula import Formula, Or, Row

__all__ = ["MOST_CASES", "MOST_ROWS", "Conjunction", "dnf", "product"]

Conjunction = tuple[Row, ...]
MOST_CASES = 1 << 18
MOST_ROWS = 1 << 23  # in all cases together


def dnf(formula: Formula) -> list[Conjunction]:
    """Return conjunctions of rows of which some holds exactly where the formula does.

    Rows without variables are decided here. Raises ``Unsupported`` where there would be more than
    2^18 conjunctions, or 2^23 rows in them.

    >>> a, b, never = Row(((0, 1.0),), 0.0), Row(((1, 1.0),), 0.0), Row((), -1.0)
    >>> dnf(Or((a, b, never))) == [(a,), (b,)]
    True
    """
    if isinstance(formula, Row):
        if formula.terms:
            return [(formula,)]
        true = formula.constant > 0 or (formula.constant == 0 and not formula.strict)
        return [()] if true else []
    if isinstance(formula, Or):
        return _limited([c for part in formula.parts for c in dnf(part)])
    found: list[Conjunction] = [()]
    for part in formula.parts:
        found = product(found, dnf(part))
    return found


def product(a: list[Conjunction], b: list[Conjunction]) -> list[Conjunction]:
    """Return the normal form of "some of a and some of b".

    >>> r = Row(((0, 1.0),), 0.0)
    >>> product([(r,)], [(), (r,)]) == [(r,), (r, r)]
    True
    """
    rows = len(b) * sum(map(len, a)) + len(a) * sum(map(len, b))
    _check(len(a) * len(b), rows)
    return [left + right for left in a for right in b]


def _limited(found: list[Conjunction]) -> list[Conjunction]:
    _check(len(found), sum(map(len, found)))
    return found


def _check(cases: int, rows: int) -> None:
    if cases > MOST_CASES or rows > MOST_ROWS:
        raise Unsupported(
            f"the property has {cases:,} cases with {rows:,} rows once its disjunctions are "
            f"multiplied out: at most {MOST_CASES:,} cases and {MOST_ROWS:,} rows are taken"
        )
