"""Formulas over inputs and outputs of a network: and, or, and linear inequalities."""

import math
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

__all__ = ["And", "Formula", "Or", "Row", "holds", "name_of"]


class Row(NamedTuple):
    """sum_v a_v v + constant >= 0, or > 0 where ``strict``.

    ``terms`` are pairs (v, a_v) with a_v != 0 in ascending order of v, where v = i stands for X_i
    and v = -1 - j for Y_j; ``at`` is the offset in the file.
    """

    terms: tuple[tuple[int, float], ...]
    constant: float
    strict: bool = False
    at: int = 0


class And(NamedTuple):
    """All parts hold; true when there are none."""

    parts: "tuple[Formula, ...]"


class Or(NamedTuple):
    """Some part holds; false when there are none."""

    parts: "tuple[Formula, ...]"


Formula: TypeAlias = Row | And | Or


def name_of(variable: int) -> str:
    """Name a variable as a file does.

    >>> name_of(3), name_of(-1)
    ('X_3', 'Y_0')
    """
    return f"X_{variable}" if variable >= 0 else f"Y_{-1 - variable}"


def holds(formula: Formula, x: Sequence[float], y: Sequence[float], tolerance: float = 0.0) -> bool:
    """Tell whether a formula is true of inputs x and outputs y, read as it is written.

    A row's left side is summed exactly and rounded once; with a ``tolerance`` it may fall short
    of 0 by as much. A value that is not finite satisfies no row that mentions it.

    >>> row = Row(((-1, -1.0), (0, 2.0)), -0.5)  # 2 X_0 - Y_0 - 0.5 >= 0
    >>> holds(row, [1.0], [1.5]), holds(row, [1.0], [1.6]), holds(row, [1.0], [1.6], 0.2)
    (True, False, True)
    """
    if isinstance(formula, And):
        return all(holds(part, x, y, tolerance) for part in formula.parts)
    if isinstance(formula, Or):
        return any(holds(part, x, y, tolerance) for part in formula.parts)
    values = [a * (x[v] if v >= 0 else y[-1 - v]) for v, a in formula.terms]
    if not all(map(math.isfinite, values)):
        return False
    total = math.fsum([*values, formula.constant]) + tolerance
    return total > 0 if formula.strict and not tolerance else total >= 0
