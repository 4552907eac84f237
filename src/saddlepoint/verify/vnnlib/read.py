"""Reading VNN-LIB 1.0, the property files of the VNN competition, safely.

A file declares ``X_0 ... Y_0 ...`` as Real and asserts formulas over them; their conjunction is the
*unsafe* set, and ``sat`` means that it can be reached (https://www.vnnlib.org, version 1.0). Only
parentheses and words are interpreted, within limits of size and depth; nothing is evaluated.
"""

import contextlib
import gc
import gzip
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from saddlepoint.core.errors import BadData, closest
from saddlepoint.verify.vnnlib.cases import cases_of
from saddlepoint.verify.vnnlib.formula import And, Formula, name_of
from saddlepoint.verify.vnnlib.problem import Problem
from saddlepoint.verify.vnnlib.sexpr import Form, Source, Word, forms, shown
from saddlepoint.verify.vnnlib.terms import Reader, variable

__all__ = ["parse", "read_problem", "read_text"]

_LARGEST = 1 << 28  # bytes of text, unpacked
# What SMT-LIB files say around the assertions, without meaning here.
_IGNORED = ("set-logic", "set-info", "set-option", "check-sat", "get-model", "exit")
_COMMANDS = ("declare-const", "declare-fun", "assert")


def read_problem(path: Path, inputs: int | None = None, outputs: int | None = None) -> Problem:
    """Read the ``.vnnlib`` or ``.vnnlib.gz`` file at ``path``.

    ``inputs`` and ``outputs`` are how many numbers the network has, where that is known.

    Raises ``BadData`` with line and column for what is not VNN-LIB, for counts that are not the
    network's and for inputs without bounds, ``Unsupported`` for what we cannot take: constraints
    that relate inputs to outputs, products of variables, more than 2^18 cases, 256 MiB of text.
    """
    return parse(read_text(path), path.name, inputs, outputs)


def read_text(path: Path) -> str:
    """Return the text of a file, unpacked if it is gzip, and of at most 256 MiB.

    Raises ``BadData`` when it is missing, larger, damaged, or not text.
    """
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rb") if packed else path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except FileNotFoundError as error:
        raise BadData(
            f"{path}: no such file; a property is a .vnnlib or .vnnlib.gz file"
        ) from error
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise BadData(f"{path}: damaged gzip file ({error})") from error
    if len(content) > _LARGEST:
        raise BadData(f"{path}: more than {_LARGEST >> 20} MiB of text, which is not read")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadData(f"{path}: not a text file (byte {error.start} is no UTF-8)") from error


def parse(
    text: str, name: str = "<text>", inputs: int | None = None, outputs: int | None = None
) -> Problem:
    """Return the problem that a text states; inputs and outputs as in ``read_problem``.

    Constants become the nearest float64. Strict inequalities are kept in the formula and in each
    clause's ``strict``; boxes are closed: ``unsat`` of that larger set is ``unsat`` of the file's.

    >>> problem = parse('''
    ... (declare-const X_0 Real) (declare-const Y_0 Real) (declare-const Y_1 Real)
    ... (assert (and (>= X_0 -1) (<= X_0 (- 2 1.5))))
    ... (assert (or (<= Y_0 Y_1) (>= Y_0 1e1)))
    ... ''')
    >>> problem.cases[0].low, problem.cases[0].high
    (tensor([-1.], dtype=torch.float64), tensor([0.5000], dtype=torch.float64))
    >>> [clause.C.tolist() for clause in problem.cases[0].clauses]
    [[[-1.0, 1.0]], [[1.0, 0.0]]]
    """
    with _uncollected():
        return _parsed(Source(text, name), inputs, outputs)


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Keep Python's cycle collector off: it would walk millions of tuples again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _parsed(source: Source, inputs: int | None, outputs: int | None) -> Problem:
    declared: dict[int, int] = {}
    asserted: list[Formula] = []
    reader = Reader(source, declared)
    for form in forms(source):
        command = _command(source, form)
        if command == "assert":
            asserted.append(_asserted(source, form, reader))
        elif command in _COMMANDS:
            _declare(source, form, declared)
    n = _count(source, declared, "X", "inputs", inputs)
    k = _count(source, declared, "Y", "outputs", outputs)
    if not asserted:
        raise source.bad(len(source.text), "nothing is asserted: expected (assert ...)")
    formula = And(tuple(asserted))
    cases, notes = cases_of(formula, n, k, source)
    return Problem(n, k, cases, formula, notes)


def _command(source: Source, form: Form) -> str:
    head = form.items[0] if form.items else None
    if not isinstance(head, Word):
        raise source.bad(form.at, f"found {shown(form)!r}: expected {', '.join(_COMMANDS)}")
    if head.text in ("vnnlib-version", "declare-network"):
        raise source.unsupported(form.at, "this is VNN-LIB 2.0: only 1.0 is read")
    if head.text not in _COMMANDS + _IGNORED:
        hint = closest(head.text, _COMMANDS)
        raise source.bad(head.at, f"found {shown(head)!r}: expected a command; {hint}")
    return head.text


def _asserted(source: Source, form: Form, reader: Reader) -> Formula:
    if len(form.items) != 2:
        found = len(form.items) - 1
        raise source.bad(form.at, f"assert with {found} formulas: expected (assert FORMULA)")
    return reader.formula(form.items[1])


def _declare(source: Source, form: Form, declared: dict[int, int]) -> None:
    """Note a declaration: (declare-const X_0 Real) or (declare-fun X_0 () Real)."""
    head, *rest = form.items
    if isinstance(head, Word) and head.text == "declare-fun" and len(rest) == 3:
        if not isinstance(rest[1], Form) or rest[1].items:
            raise source.bad(rest[1].at, "a variable takes no arguments: expected ()")
        del rest[1]
    if len(rest) != 2 or not isinstance(rest[0], Word) or not isinstance(rest[1], Word):
        raise source.bad(form.at, f"found {shown(form)!r}: expected (declare-const X_0 Real)")
    word, kind = rest[0], rest[1]
    which = variable(word.text)
    if which is None:
        raise source.bad(word.at, f"found {shown(word)!r}: expected a variable X_i or Y_j")
    if kind.text != "Real":
        raise source.unsupported(kind.at, f"{word.text} is {shown(kind)}: only Real is taken")
    if which in declared:
        first = source.place(declared[which])
        raise source.bad(word.at, f"{word.text} is declared twice, first at {first}")
    declared[which] = word.at


def _count(
    source: Source, declared: Mapping[int, int], letter: str, what: str, expected: int | None
) -> int:
    """Return how many variables of a letter there are: all from 0 on, as many as expected."""
    found = sorted(v if letter == "X" else -1 - v for v in declared if (v >= 0) == (letter == "X"))
    gap = next((i for i, index in enumerate(found) if i != index), None)
    sign = 1 if letter == "X" else -1
    if gap is not None:
        last = declared[found[-1] if sign > 0 else -1 - found[-1]]
        name = name_of(gap if sign > 0 else -1 - gap)
        raise source.bad(last, f"{letter}_{found[-1]} is declared, but {name} is not")
    if not found:
        raise source.bad(len(source.text), f"no {what} are declared: expected {letter}_0, ...")
    if expected is not None and len(found) != expected:
        raise BadData(
            f"{source.name}: declares {len(found)} {what} ({letter}_0 to {letter}_{found[-1]}), "
            f"but the network has {expected}"
        )
    return len(found)
