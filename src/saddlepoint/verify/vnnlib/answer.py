"""Answers as the VNN competition writes them, and the check of a counterexample.

A result file is one word, and after ``sat`` the counterexample ``((X_0 0.1) ... (Y_0 0.2))``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor

from saddlepoint.core.errors import BadData
from saddlepoint.verify.vnnlib.formula import name_of
from saddlepoint.verify.vnnlib.problem import Problem
from saddlepoint.verify.vnnlib.sexpr import Expression, Form, Source, Word, forms, shown
from saddlepoint.verify.vnnlib.terms import number, variable

__all__ = [
    "ABSOLUTE",
    "RELATIVE",
    "Answer",
    "Check",
    "Counterexample",
    "Verdict",
    "answer_text",
    "check",
    "read_answer",
]

Verdict: TypeAlias = Literal["sat", "unsat", "unknown", "timeout"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
ABSOLUTE = 1e-4  # by which VNN-COMP lets each comparison be missed
RELATIVE = 1e-3  # by which it lets stated outputs differ from onnxruntime's, of the largest


@dataclass(frozen=True, eq=False)
class Counterexample:
    """Inputs x (inputs,) and the outputs y (outputs,) of the network there, in float64."""

    x: Tensor
    y: Tensor


@dataclass(frozen=True, eq=False)
class Answer:
    """A verdict, ``found`` the counterexample of a ``sat``, and ``notes`` for the user."""

    verdict: Verdict
    found: Counterexample | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Check:
    """What running the network at a counterexample shows.

    ``exact``: the network's outputs there are unsafe, and the inputs in the box, as the file says
    and with no tolerance. ``tolerated``: the same where each comparison may be missed by 1e-4.
    ``difference``: max |y - stated| / max |stated|; ``agrees``: it is at most 1e-3. Competitions up
    to 2024 took what is ``tolerated`` and ``agrees``; we call nothing sat that is not ``exact``.
    """

    exact: bool
    tolerated: bool
    difference: float

    @property
    def agrees(self) -> bool:
        """Whether the stated outputs are the network's."""
        return self.difference <= RELATIVE


def check(problem: Problem, found: Counterexample, network: Callable[[Tensor], Tensor]) -> Check:
    """Run the network at a counterexample and judge it on the formula as the file states it.

    ``network`` maps x (1, inputs) in float64 to outputs (1, outputs), such as a session of ONNX
    Runtime; ``found`` is what a result file states. Shares no code with the search or the
    multiplied-out cases. Raises ``BadData`` when the counterexample has not the problem's size.

    >>> from saddlepoint.verify.vnnlib.read import parse
    >>> problem = parse('''(declare-const X_0 Real) (declare-const Y_0 Real)
    ...     (assert (<= X_0 1)) (assert (>= X_0 0)) (assert (>= Y_0 2))''')
    >>> at = torch.tensor([1.0], dtype=torch.float64)
    >>> check(problem, Counterexample(at, 2 * at), lambda x: 2 * x)
    Check(exact=True, tolerated=True, difference=0.0)
    """
    for what, value, size in (
        ("inputs", found.x, problem.inputs),
        ("outputs", found.y, problem.outputs),
    ):
        if tuple(value.shape) != (size,):
            raise BadData(f"the counterexample has {value.numel()} {what}: expected {size}")
    y = network(found.x.double()[None]).double().flatten()
    scale = found.y.abs().max().clamp(min=1e-300)
    return Check(
        problem.unsafe(found.x, y),
        problem.unsafe(found.x, y, ABSOLUTE),
        float((y - found.y).abs().max() / scale),
    )


def answer_text(answer: Answer) -> str:
    """Write an answer as VNN-COMP expects it; numbers read back exactly.

    >>> x = torch.tensor([0.5, -1.0], dtype=torch.float64)
    >>> print(answer_text(Answer("sat", Counterexample(x, 2 * x))), end="")
    sat
    ((X_0 0.5)
     (X_1 -1.0)
     (Y_0 1.0)
     (Y_1 -2.0))
    """
    if answer.found is None:
        return f"{answer.verdict}\n"
    x, y = answer.found.x.double().tolist(), answer.found.y.double().tolist()
    pairs = [f"(X_{i} {v!r})" for i, v in enumerate(x)]
    pairs += [f"(Y_{j} {v!r})" for j, v in enumerate(y)]
    listed = "\n ".join(pairs)
    return f"{answer.verdict}\n({listed})\n"


def read_answer(text: str, name: str = "<text>") -> Answer:
    """Read a result file's ``text`` back; a counterexample without a word before it is ``sat``.

    Raises ``BadData`` with line and column for what is not such a file.

    >>> read_answer("unsat").verdict, read_answer("((X_0 1) (Y_0 2.5e-1))").found.y
    ('unsat', tensor([0.2500], dtype=torch.float64))
    """
    head, opening, _ = text.partition("(")
    word = head.strip() or ("sat" if opening else "")
    verdict = next((v for v in VERDICTS if v == word), None)
    if verdict is None:
        raise BadData(f"{name}: begins with {word[:40]!r}: expected one of {', '.join(VERDICTS)}")
    # What stands before the parenthesis becomes blank, so that lines and columns stay right.
    blank = "".join("\n" if c == "\n" else " " for c in head)
    source = Source(blank + text[len(head) :], name)
    found = [_pair(source, item) for item in _pairs(source)]
    if verdict != "sat":
        if found:
            raise BadData(f"{name}: {verdict} with a counterexample: expected none")
        return Answer(verdict)
    if not found:
        return Answer(verdict)
    values = dict(found)
    if len(values) != len(found):
        raise BadData(f"{name}: a variable is given twice")
    return Answer(verdict, Counterexample(_vector(name, values, 1), _vector(name, values, -1)))


def _pairs(source: Source) -> list[Expression]:
    """Return (X_0 1) (X_1 2) ..., with or without the parenthesis around them all."""
    found: list[Expression] = []
    for form in forms(source):
        single = bool(form.items) and isinstance(form.items[0], Word)
        found += [form] if single else form.items
    return found


def _pair(source: Source, item: Expression) -> tuple[int, float]:
    if isinstance(item, Form) and len(item.items) == 2:
        left, right = item.items
        if isinstance(left, Word) and isinstance(right, Word):
            which, value = variable(left.text), number(right.text)
            if which is not None and value is not None:
                return which, value
    raise source.bad(item.at, f"found {shown(item)!r}: expected a pair such as (X_0 0.5)")


def _vector(name: str, values: dict[int, float], sign: int) -> Tensor:
    size = sum((v >= 0) == (sign > 0) for v in values)
    places = range(size) if sign > 0 else range(-1, -1 - size, -1)
    missing = next((v for v in places if v not in values), None)
    if missing is not None or not size:
        lacking = name_of(0 if sign > 0 else -1) if missing is None else name_of(missing)
        raise BadData(f"{name}: the counterexample lacks {lacking}")
    return torch.tensor([values[v] for v in places], dtype=torch.float64)
