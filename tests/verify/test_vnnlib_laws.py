"""Laws of VNN-LIB: what is written reads back, and the cases mean what the formula means."""

import math
from fractions import Fraction
from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from saddlepoint.core.errors import BadData, Unsupported
from saddlepoint.verify.vnnlib import Case, Clause, Problem, parse, text_of
from saddlepoint.verify.vnnlib.formula import And

FINITE = st.floats(-1e100, 1e100).filter(lambda v: v != 0)
MANY = settings(max_examples=60)


def vector(draw: Any, size: int) -> torch.Tensor:  # noqa: ANN401
    numbers = draw(st.lists(FINITE, min_size=size, max_size=size))
    return torch.tensor(numbers, dtype=torch.float64)


@st.composite
def problems(draw: Any) -> Problem:  # noqa: ANN401
    """Distinct boxes, each with rows over all its inputs and clauses over the outputs."""
    n, k, count = draw(st.integers(2, 4)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    cases = []
    for i in range(count):
        first, second = vector(draw, n), vector(draw, n)
        low, high = torch.minimum(first, second), torch.maximum(first, second)
        low[0] = high[0] = float(i)  # no two boxes are the same
        m = draw(st.integers(0, 2))
        A = torch.stack([vector(draw, n) for _ in range(m)]) if m else low.new_zeros(0, n)
        a = 1.0 - A @ low  # true somewhere in the box
        clauses = []
        for _ in range(draw(st.integers(1, 3))):
            r = draw(st.integers(1, 3))
            C = torch.stack([vector(draw, k) for _ in range(r)])
            strict = torch.tensor(draw(st.lists(st.booleans(), min_size=r, max_size=r)))
            clauses.append(Clause(C, vector(draw, r), strict))
        cases.append(Case(low, high, A, a, tuple(clauses)))
    return Problem(n, k, tuple(cases), And(()))


def content(problem: Problem) -> Any:  # noqa: ANN401
    return (
        problem.inputs,
        problem.outputs,
        [
            [t.tolist() for t in (case.low, case.high, case.A, case.a)]
            + [[t.tolist() for t in (c.C, c.d, c.strict)] for c in case.clauses]
            for case in problem.cases
        ],
    )


@MANY
@given(problems())
def test_a_problem_reads_back_exactly(problem: Problem) -> None:
    found = parse(text_of(problem), "t", problem.inputs, problem.outputs)
    assert content(found) == content(problem)
    assert found.notes == ()


# Trees of formulas over X_0, X_1, Y_0, Y_1, with small dyadic numbers: float64 is exact on them.
SMALL = st.integers(-8, 8).map(lambda v: v / 4)
TREE = Any


def leaves(letter: str) -> st.SearchStrategy[TREE]:
    words = st.one_of(SMALL, st.sampled_from([f"{letter}_0", f"{letter}_1"]))
    sums = st.recursive(
        words,
        lambda inner: st.one_of(
            st.tuples(st.just("+"), inner, inner),
            st.tuples(st.just("-"), inner, inner),
            st.tuples(st.just("-"), inner),
            st.tuples(st.just("*"), SMALL, inner),
        ),
        max_leaves=4,
    )
    return st.tuples(st.sampled_from(["<=", ">=", "<", ">"]), sums, sums)


FORMULAS = st.recursive(
    st.one_of(leaves("X"), leaves("Y")),
    lambda inner: (
        st.tuples(st.sampled_from(["and", "or"]), inner, inner, inner)
        | st.tuples(st.sampled_from(["and", "or"]), inner)
    ),
    max_leaves=8,
)


def printed(tree: TREE) -> str:
    if isinstance(tree, tuple):
        return f"({' '.join(map(printed, tree))})"
    if isinstance(tree, float):
        return f"(- {-tree!r})" if tree < 0 else repr(tree)
    return str(tree)


def value(tree: TREE, at: dict[str, Fraction]) -> Any:  # noqa: ANN401
    """Evaluate a tree by its definition, in exact arithmetic."""
    if isinstance(tree, str):
        return at[tree]
    if isinstance(tree, float):
        return Fraction(tree)
    head, *rest = tree
    parts = [value(part, at) for part in rest]
    if head in ("and", "or"):
        return all(parts) if head == "and" else any(parts)
    if len(parts) == 1:
        return -parts[0]
    a, b = parts
    return {
        "<=": a <= b,
        ">=": a >= b,
        "<": a < b,
        ">": a > b,
        "+": a + b,
        "-": a - b,
        "*": a * b,
    }[head]


def closed(tree: TREE) -> TREE:
    if not isinstance(tree, tuple):
        return tree
    return ({"<": "<=", ">": ">="}.get(tree[0], tree[0]), *map(closed, tree[1:]))


def in_cases(problem: Problem, x: torch.Tensor, y: torch.Tensor) -> bool:
    """Tell whether a point is in some case, by the matrices alone."""
    for case in problem.cases:
        C, d, _, group = case.rows()
        inside = (
            (case.low <= x).all() and (x <= case.high).all() and (case.A @ x + case.a >= 0).all()
        )
        true = C @ y + d >= 0
        if inside and any(true[group == g].all() for g in range(len(case.clauses))):
            return True
    return False


HEAD = "".join(f"(declare-const {name} Real)" for name in ("X_0", "X_1", "Y_0", "Y_1"))
BOX = ("and", (">=", "X_0", -2.0), ("<=", "X_0", 2.0), (">=", "X_1", -2.0), ("<=", "X_1", 2.0))


@settings(max_examples=150)
@given(FORMULAS, st.integers(0, 10**6))
def test_cases_and_formula_mean_what_the_file_says(tree: TREE, seed: int) -> None:
    tree = ("and", BOX, tree)
    problem = parse(f"{HEAD}(assert {printed(tree)})")
    draw = torch.Generator().manual_seed(seed)
    for _ in range(25):
        point = torch.randint(-10, 11, (4,), generator=draw).double() / 4
        at = dict(zip(("X_0", "X_1", "Y_0", "Y_1"), map(Fraction, point.tolist()), strict=True))
        x, y = point[:2], point[2:]
        assert problem.unsafe(x, y) == value(tree, at)
        assert in_cases(problem, x, y) >= value(tree, at)
        if not _rounded(tree):  # else the box may be larger by the last digit
            assert in_cases(problem, x, y) <= value(closed(tree), at)


def _rounded(tree: TREE) -> bool:
    """Whether an input has a factor: a bound on it is then divided, and rounded outwards."""
    text = printed(tree)
    return "*" in text or any(f"{s} X_{i}" in text for s in ("(+", "(-") for i in (0, 1))


@MANY
@given(FORMULAS)
def test_any_layout_reads_the_same(tree: TREE) -> None:
    text = f"{HEAD}(assert {printed(('and', BOX, tree))})"
    spread = text.replace("(", " ; (\n ( ").replace(")", "\t)\r\n").replace("X_0", " X_0 ")
    assert content(parse(text)) == content(parse(spread))


VALID = f"{HEAD}(assert {printed(BOX)})(assert (or (<= Y_0 1.5) (and (>= Y_1 (- 2)) (> X_0 0))))"
PIECES = st.sampled_from([*'();|"-+*/<=. \n\x00é', "X_0", "Y_9", "and", "1e9", "(or", "assert"])


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, len(VALID)), st.integers(0, 9), PIECES), max_size=3))
def test_damaged_text_is_read_or_refused_in_words(edits: list[tuple[int, int, str]]) -> None:
    text = VALID
    for at, removed, piece in edits:
        text = text[:at] + piece + text[at + removed :]
    try:
        problem = parse(text)
    except (BadData, Unsupported) as error:
        assert str(error).startswith("<text>:")  # noqa: PT017 - it need not be raised
    else:
        assert (problem.inputs, problem.outputs) == (2, 2)


def test_a_row_is_summed_exactly() -> None:
    problem = parse(f"{HEAD}(assert {printed(BOX)})(assert (>= (+ Y_0 Y_1 -1e16) 0))")
    x = torch.zeros(2)
    assert problem.unsafe(x, torch.tensor([1e16, 0.0], dtype=torch.float64))
    assert not problem.unsafe(x, torch.tensor([1e16, -0.1], dtype=torch.float64))


def test_what_is_not_finite_is_not_unsafe() -> None:
    problem = parse(f"{HEAD}(assert {printed(BOX)})(assert (>= Y_0 1))")
    x = torch.zeros(2)
    for odd in (math.nan, math.inf):
        assert not problem.unsafe(x, torch.tensor([odd, 0.0]))
        assert not problem.unsafe(torch.tensor([odd, 0.0]), torch.tensor([2.0, 0.0]))
    assert problem.unsafe(x, torch.tensor([2.0, math.nan]))  # Y_1 plays no part
