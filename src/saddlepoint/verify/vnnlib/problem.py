"""What a VNN-LIB file asks: can the network's outputs be unsafe for an input of a box?"""

from dataclasses import dataclass

import torch
from torch import Tensor

from saddlepoint.verify.vnnlib.formula import Formula, holds, name_of

__all__ = ["Case", "Clause", "Problem", "text_of"]


@dataclass(frozen=True, eq=False)
class Clause:
    """Unsafe outputs z (outputs,): those with C z + d >= 0 in every row.

    ``C`` is (R, outputs), ``d`` (R,), both float64, and ``strict`` (R,) bool says which rows the
    file wrote with > 0. A clause that asks nothing of the outputs is the one row 0 z + 1 >= 0.
    """

    C: Tensor
    d: Tensor
    strict: Tensor


@dataclass(frozen=True, eq=False)
class Case:
    """Inputs x with low <= x <= high and A x + a >= 0, unsafe where one of ``clauses`` holds.

    ``low`` and ``high`` are (inputs,), ``A`` (M, inputs), ``a`` (M,), all float64. Mostly M = 0.
    Dropping A is sound for a proof: it is then about more inputs than were asked for.
    """

    low: Tensor
    high: Tensor
    A: Tensor
    a: Tensor
    clauses: tuple[Clause, ...]

    def rows(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return C (R, outputs), d (R,), strict (R,) and the clause (R,) of each row, stacked."""
        group = [torch.full((len(c.d),), i) for i, c in enumerate(self.clauses)]
        parts = ([getattr(c, name) for c in self.clauses] for name in ("C", "d", "strict"))
        C, d, strict = (torch.cat(list(part)) for part in parts)
        return C, d, strict, torch.cat(group)


@dataclass(frozen=True, eq=False)
class Problem:
    """A property: unsafe if in some case an input of the box gives unsafe outputs.

    ``inputs`` and ``outputs`` are how many numbers the network takes and gives. ``formula`` is the
    property as the file states it, strict where the file is; the cases are its closure, multiplied
    out. ``notes`` are for the user: what was found odd, such as empty boxes. Without cases the
    answer is unsat, whatever the network.
    """

    inputs: int
    outputs: int
    cases: tuple[Case, ...]
    formula: Formula
    notes: tuple[str, ...] = ()

    def unsafe(self, x: Tensor, y: Tensor, tolerance: float = 0.0) -> bool:
        """Tell whether inputs x (inputs,) with outputs y (outputs,) have the property.

        Judged on the formula as written, in float64; a ``tolerance`` is added to the left side of
        each comparison.
        """
        return holds(self.formula, x.double().tolist(), y.double().tolist(), tolerance)


def text_of(problem: Problem) -> str:
    """Write the cases of a problem as VNN-LIB, every number so that it reads back exactly.

    >>> one, none = torch.ones(1, dtype=torch.float64), torch.zeros(0, dtype=torch.float64)
    >>> clause = Clause(one[None], -one, torch.tensor([False]))
    >>> case = Case(-one, one, none.reshape(0, 1), none, (clause,))
    >>> print(text_of(Problem(1, 1, (case,), formula=None)))
    (declare-const X_0 Real)
    (declare-const Y_0 Real)
    (assert (or
      (and (>= X_0 -1.0) (<= X_0 1.0) (or (and (>= (+ (* 1.0 Y_0) -1.0) 0.0))))
    ))
    <BLANKLINE>
    """
    names = [*map(name_of, range(problem.inputs)), *(f"Y_{j}" for j in range(problem.outputs))]
    lines = [f"(declare-const {name} Real)" for name in names]
    lines += ["(assert (or", *(f"  {_case(case)}" for case in problem.cases), "))", ""]
    return "\n".join(lines)


def _case(case: Case) -> str:
    parts = []
    for i, (low, high) in enumerate(zip(case.low.tolist(), case.high.tolist(), strict=True)):
        parts += [f"(>= X_{i} {low!r})", f"(<= X_{i} {high!r})"]
    parts += [_row("X", A, a, ">=") for A, a in zip(case.A.tolist(), case.a.tolist(), strict=True)]
    clauses = " ".join(map(_clause, case.clauses))
    return f"(and {' '.join(parts)} (or {clauses}))"


def _clause(clause: Clause) -> str:
    rows = zip(clause.C.tolist(), clause.d.tolist(), clause.strict.tolist(), strict=True)
    return f"(and {' '.join(_row('Y', C, d, '>' if strict else '>=') for C, d, strict in rows)})"


def _row(letter: str, factors: list[float], constant: float, sign: str) -> str:
    terms = [f"(* {a!r} {letter}_{i})" for i, a in enumerate(factors) if a]
    return f"({sign} (+ {' '.join([*terms, repr(constant)])}) 0.0)"
