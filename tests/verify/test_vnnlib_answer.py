"""Result files of VNN-COMP, and the check of counterexamples."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from saddlepoint.core.errors import BadData
from saddlepoint.verify.vnnlib import (
    Answer,
    Counterexample,
    answer_text,
    check,
    parse,
    read_answer,
)

NUMBERS = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5)


def vector(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@settings(max_examples=50)
@given(NUMBERS, NUMBERS)
def test_a_counterexample_reads_back_exactly(x: list[float], y: list[float]) -> None:
    text = answer_text(Answer("sat", Counterexample(vector(*x), vector(*y))))
    assert text.startswith("sat\n((X_0 ")
    found = read_answer(text)
    assert found.verdict == "sat"
    assert found.found is not None
    assert (found.found.x.tolist(), found.found.y.tolist()) == (x, y)


@pytest.mark.parametrize("word", ["unsat", "unknown", "timeout"])
def test_other_verdicts_are_one_word(word: str) -> None:
    assert answer_text(Answer(word)) == f"{word}\n"  # type: ignore[arg-type]
    assert read_answer(f" {word}\n").verdict == word


@pytest.mark.parametrize(
    "text",
    [
        "sat\n((X_0 1) (X_1 -2.5)\n(Y_0 3e-1))",
        "sat\n(X_0 1)\n(X_1 -2.5)\n(Y_0 3e-1)\n",
        "((Y_0 0.3)\n (X_1 -2.5)\n (X_0 1))",
    ],
)
def test_forms_that_tools_write(text: str) -> None:
    found = read_answer(text).found
    assert found is not None
    assert (found.x.tolist(), found.y.tolist()) == ([1, -2.5], [0.3])


BAD = {
    "": "begins with '': expected one of sat, unsat, unknown, timeout",
    "violated": "begins with 'violated'",
    "unsat ((X_0 1) (Y_0 1))": "unsat with a counterexample",
    "sat\n((X_0 1) (X_0 2) (Y_0 1))": "given twice",
    "sat\n((X_0 1) (X_2 2) (Y_0 1))": "lacks X_1",
    "sat\n((X_0 1))": "lacks Y_0",
    "sat\n((Y_0 1))": "lacks X_0",
    "sat\n((X_0 one) (Y_0 1))": ":2:2: found '(X_0 one)': expected a pair",
    "sat\n((X_0 1 2) (Y_0 1))": ":2:2: found '(X_0 1 2)'",
    "sat\n((X_0 nan) (Y_0 1))": "found '(X_0 nan)'",
    "sat\n((X_0 1) (Y_0 1)": ":2:1: this parenthesis is never closed",
}


@pytest.mark.parametrize("text", BAD)
def test_files_that_are_not_answers(text: str) -> None:
    with pytest.raises(BadData) as caught:
        read_answer(text, "r.txt")
    assert BAD[text] in str(caught.value)
    assert str(caught.value).startswith("r.txt:")


PROBLEM = parse("""(declare-const X_0 Real) (declare-const Y_0 Real)
    (assert (<= X_0 1)) (assert (>= X_0 0)) (assert (>= Y_0 2))""")


def double(x: Tensor) -> Tensor:
    return 2 * x


@pytest.mark.parametrize(
    ("x", "y", "exact", "tolerated", "agrees"),
    [
        (1.0, 2.0, True, True, True),
        (1.0, 2.001, True, True, True),
        (1.0, 2.1, True, True, False),
        (1.00005, 2.0001, False, True, True),  # outside the box, within the tolerance
        (0.99998, 1.99996, False, True, True),  # outputs short of it, within the tolerance
        (0.9, 2.0, False, False, False),  # the stated outputs do not decide
        (1.1, 2.2, False, False, True),
    ],
)
def test_what_holds(x: float, y: float, exact: bool, tolerated: bool, agrees: bool) -> None:
    found = check(PROBLEM, Counterexample(vector(x), vector(y)), double)
    assert (found.exact, found.tolerated, found.agrees) == (exact, tolerated, agrees)


def test_a_counterexample_of_another_size() -> None:
    with pytest.raises(BadData, match="has 2 inputs: expected 1"):
        check(PROBLEM, Counterexample(vector(1, 1), vector(2)), double)
    with pytest.raises(BadData, match="has 3 outputs: expected 1"):
        check(PROBLEM, Counterexample(vector(1), vector(2, 2, 2)), double)


def test_outputs_that_are_not_finite_prove_nothing() -> None:
    found = check(PROBLEM, Counterexample(vector(1), vector(2)), lambda x: x * float("nan"))
    assert (found.exact, found.tolerated, found.agrees) == (False, False, False)
