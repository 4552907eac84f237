"""VNN-LIB files: what is read, and what is refused with which words."""

import gc
import gzip
from pathlib import Path

import pytest
import torch

from saddlepoint.core.errors import BadData, Unsupported
from saddlepoint.verify.vnnlib import Problem, parse, read_problem

HEAD = "(declare-const X_0 Real)\n(declare-const X_1 Real)\n(declare-const Y_0 Real)\n"
BOX = "(assert (>= X_0 0)) (assert (<= X_0 1)) (assert (>= X_1 -1)) (assert (<= X_1 2))\n"


def ask(text: str) -> Problem:
    return parse(HEAD + BOX + text)


def boxes(problem: Problem) -> list[tuple[list[float], list[float]]]:
    return [(case.low.tolist(), case.high.tolist()) for case in problem.cases]


def rows(problem: Problem) -> list[list[tuple[list[float], float]]]:
    (case,) = problem.cases
    return [list(zip(c.C.tolist(), c.d.tolist(), strict=True)) for c in case.clauses]


@pytest.mark.parametrize(
    ("formula", "row"),
    [
        ("(<= Y_0 0.5)", ([-1.0], 0.5)),
        ("(>= Y_0 (- 1.5))", ([1.0], 1.5)),
        ("(<= (- 1.5) Y_0)", ([1.0], 1.5)),
        ("(>= -1.5e-3 Y_0)", ([-1.0], -1.5e-3)),
        ("(>= Y_0 +.5E+1)", ([1.0], -5.0)),
        ("(>= Y_0 2.)", ([1.0], -2.0)),
        ("(< Y_0 1)", ([-1.0], 1.0)),
        ("(>= (+ (* 2 Y_0) 1 Y_0) (* 3 (- Y_0 4) 2))", ([-3.0], 25.0)),
        ("(<= (- Y_0) (+ 1 2 (- 3 4 5)))", ([1.0], -3.0)),
        ("(>= (/ Y_0 4) (/ 1 2))", ([0.25], -0.5)),
        ("(and (>= Y_0 0.5))", ([1.0], -0.5)),
        ("(or (and (or (>= Y_0 0.5))))", ([1.0], -0.5)),
    ],
)
def test_one_row(formula: str, row: tuple[list[float], float]) -> None:
    assert rows(ask(f"(assert {formula}) ; a comment (")) == [[row]]


def test_equality_is_two_rows() -> None:
    assert rows(ask("(assert (= Y_0 3))")) == [[([1.0], -3.0), ([-1.0], 3.0)]]


def test_strict_rows_are_marked_and_boxes_closed() -> None:
    found = ask("(assert (or (< Y_0 1) (>= Y_0 2))) (assert (< X_0 0.5))")
    assert boxes(found) == [([0, -1], [0.5, 2])]
    assert [c.strict.tolist() for c in found.cases[0].clauses] == [[True], [False]]
    half, y = torch.tensor([0.5, 0.0]), torch.tensor([0.0])
    assert not found.unsafe(half, y)  # on the open face: in the closed box, not in the file's set
    assert found.unsafe(half - 0.1, y)


def test_a_property_like_acas_xu_6_shares_its_clauses_between_two_boxes() -> None:
    found = parse(
        HEAD
        + """(declare-const Y_1 Real)
        (assert (or
            (and (<= X_0 0.7) (>= X_0 -0.1) (<= X_1 0.5) (>= X_1 0.1))
            (and (<= X_0 0.7) (>= X_0 -0.1) (<= X_1 -0.1) (>= X_1 -0.5))
        ))
        (assert (or (<= Y_1 Y_0) (and (>= Y_0 1) (<= Y_1 2))))"""
    )
    assert boxes(found) == [([-0.1, 0.1], [0.7, 0.5]), ([-0.1, -0.5], [0.7, -0.1])]
    for case in found.cases:
        assert [c.C.tolist() for c in case.clauses] == [[[1, -1]], [[1, 0], [0, -1]]]


def test_alternatives_that_mix_inputs_and_outputs_are_grouped_by_box() -> None:
    found = ask("""(assert (or
        (and (>= X_0 0.5) (>= Y_0 1))
        (and (<= X_0 0.5) (<= Y_0 0))
        (and (>= Y_0 7) (>= X_0 0.5))
        (>= Y_0 9)))""")
    assert boxes(found) == [([0.5, -1], [1, 2]), ([0, -1], [0.5, 2]), ([0, -1], [1, 2])]
    assert [[c.d.tolist() for c in case.clauses] for case in found.cases] == [
        [[-1], [-7]],
        [[0]],
        [[-9]],
    ]


def test_a_clause_without_outputs_is_a_constant_row() -> None:
    assert rows(ask("")) == [[([0.0], 1.0)]]


def test_rows_over_several_inputs_are_kept_beside_the_box() -> None:
    (case,) = ask("(assert (<= (+ X_0 X_1) 1)) (assert (>= Y_0 0))").cases
    assert (case.A.tolist(), case.a.tolist()) == ([[-1, -1]], [1])


def test_a_bound_with_a_factor_is_rounded_outwards() -> None:
    (case,) = ask("(assert (<= (* 3 X_0) 1)) (assert (>= (* 3 X_1) -1))").cases
    assert 3 * case.high[0] >= 1
    assert 3 * case.low[1] <= -1
    torch.testing.assert_close(case.high[0].item(), 1 / 3)


def test_constant_rows_are_decided() -> None:
    assert rows(ask("(assert (or (<= 2 1) (>= Y_0 0) (< 1 1)))")) == [[([1.0], 0.0)]]
    assert rows(ask("(assert (or (<= 1 1) (>= Y_0 0)))")) == [[([0.0], 1.0)], [([1.0], 0.0)]]
    nothing = ask("(assert (<= 2 1))")
    assert nothing.cases == ()
    assert "contradicts itself" in nothing.notes[0]


def test_empty_boxes_are_dropped_and_said() -> None:
    found = ask("(assert (>= X_0 1.5)) (assert (>= Y_0 0))")
    assert found.cases == ()
    assert "1 of the property's boxes are empty" in found.notes[0]
    assert "unsat whatever the network" in found.notes[0]
    found = ask("(assert (or (>= X_0 1.5) (<= X_1 0) (>= (+ X_0 X_1) 3.5)))")
    assert boxes(found) == [([0, -1], [1, 0])]
    assert found.notes[0].startswith("2 of the property's boxes are empty")
    assert "unsat" not in found.notes[0]


def test_one_point_is_a_box() -> None:
    assert boxes(ask("(assert (= X_0 0.25))")) == [([0.25, -1], [0.25, 2])]


def test_smt_lib_around_it_is_ignored() -> None:
    around = '(set-logic QF_LRA) (set-info :source |a ) b|) (set-info :x "(")'
    text = around + HEAD.replace("declare-const X_1 Real", "declare-fun X_1 () Real") + BOX
    assert parse(text + "(check-sat)").inputs == 2


BAD = {
    "(assert (<= Y_0 1)": "5:1: this parenthesis is never closed",
    "(assert (<= Y_0 1)))": "5:20: found ) without a ( before it",
    "assert (<= Y_0 1)": "5:1: found 'assert': expected (",
    "(assert |Y_0)": "5:9: found '|', which is never closed",
    "(assert)": "5:1: assert with 0 formulas",
    "(assert (<= Y_0 1) (<= Y_0 2))": "5:1: assert with 2 formulas",
    "(asert (<= Y_0 1))": "5:2: found 'asert': expected a command; did you mean assert",
    "((assert))": "5:1: found '((assert))': expected declare-const",
    "()": "5:1: found '()'",
    "(assert Y_0)": "5:9: found 'Y_0': expected a formula such as (<= X_0 1.0)",
    "(assert ())": "5:9: found '()': expected a formula",
    "(assert (or))": "5:9: (or) is empty",
    "(assert (nand (<= Y_0 1)))": "5:10: found 'nand': expected a formula; did you mean and",
    "(assert (=< Y_0 1))": "5:10: found '=<': expected a formula; known: and, or, <=",
    "(assert (+ Y_0 1))": "5:10: found '+': expected a formula",
    "(assert (<= Y_0))": "5:9: '(<= Y_0)' compares 1 expressions: expected 2",
    "(assert (<= 0 Y_0 1))": "compares 3 expressions",
    "(assert (<= Y_0 one))": "5:17: found 'one': expected a number or a variable",
    "(assert (<= Y_0 nan))": "found 'nan': expected a number",
    "(assert (<= Y_0 1_0))": "found '1_0': expected a number",
    "(assert (<= Y_0 0x10))": "found '0x10': expected a number",
    "(assert (<= Y_0 ٣))": "found '٣': expected a number",
    "(assert (<= Y_0 1e999))": "5:17: 1e999 is beyond float64's range",
    "(assert (<= Y_0 (* 1e200 1e200 1e200)))": "beyond float64's range",
    "(assert (<= Y_0 ()))": "5:17: found '()': expected a number, a variable, or + - * /",
    "(assert (<= Y_0 (max 1 2)))": "5:17: found '(max 1 2)': expected a number",
    "(assert (<= Y_0 (+)))": "found '(+)'",
    "(assert (<= Y_1 1))": "5:13: Y_1 is not declared: expected (declare-const Y_1 Real)",
    "(assert (<= X_01 1))": "found 'X_01': expected a number or a variable",
    "(assert (<= X_0_0 1))": "found 'X_0_0': expected a number or a variable",
    "(declare-const X_1 Real)": "5:16: X_1 is declared twice, first at <text>:2:16",
    "(declare-const X_3 Real)": "5:16: X_3 is declared, but X_2 is not",
    "(declare-const Y_2 Real)": "5:16: Y_2 is declared, but Y_1 is not",
    "(declare-const Z_0 Real)": "5:16: found 'Z_0': expected a variable X_i or Y_j",
    "(declare-const X_2)": "5:1: found '(declare-const X_2)': expected (declare-const X_0 Real)",
    "(declare-fun X_2 (Real) Real)": "a variable takes no arguments",
}


@pytest.mark.parametrize("text", BAD)
def test_bad_input(text: str) -> None:
    with pytest.raises(BadData) as caught:
        ask(text)
    assert BAD[text] in str(caught.value)
    assert str(caught.value).startswith("<text>:")


UNSUPPORTED = {
    "(assert (<= Y_0 X_0))": "5:9: '(<= Y_0 X_0)' relates an output (Y_0) to an input (X_0)",
    "(assert (<= (* Y_0 Y_0) 1))": "5:13: '(* Y_0 Y_0)' is not linear",
    "(assert (<= (/ 1 Y_0) 1))": "'(/ 1 Y_0)' is not linear",
    "(assert (<= (/ Y_0 0) 1))": "'(/ Y_0 0)' is not linear with finite factors",
    "(assert (not (<= Y_0 1)))": "5:10: not is not part of VNN-LIB 1.0",
    "(assert (=> (<= Y_0 1) (<= Y_0 2)))": "=> is not part",
    "(declare-const X_2 Int)": "5:20: X_2 is Int: only Real is taken",
    "(vnnlib-version <2.0>)": "this is VNN-LIB 2.0: only 1.0 is read",
    "(" * 201: "5:201: nested deeper than 200 parentheses",
}


@pytest.mark.parametrize("text", UNSUPPORTED)
def test_unsupported(text: str) -> None:
    with pytest.raises(Unsupported) as caught:
        ask(text)
    assert UNSUPPORTED[text] in str(caught.value)


def test_missing_bounds() -> None:
    with pytest.raises(BadData, match=r"X_0 \(and 1 more\) has no lower bound: expected \(>= X_0"):
        parse(HEAD + "(assert (<= Y_0 1))")
    with pytest.raises(BadData, match=r"4:\d+: X_1 has no upper bound in the alternative that"):
        parse(HEAD + BOX.replace("(<= X_1 2)", "(or (<= X_1 2) (>= X_1 1))"))


def test_counts_that_are_not_the_networks() -> None:
    text = HEAD + BOX
    assert parse(text, inputs=2, outputs=1).outputs == 1
    with pytest.raises(BadData, match=r"declares 2 inputs \(X_0 to X_1\), but the network has 5"):
        parse(text, inputs=5)
    with pytest.raises(BadData, match=r"declares 1 outputs \(Y_0 to Y_0\), but the network has 10"):
        parse(text, outputs=10)


def test_nothing_declared_or_asserted() -> None:
    with pytest.raises(BadData, match="no inputs are declared"):
        parse("; nothing")
    with pytest.raises(BadData, match="no outputs are declared"):
        parse("(declare-const X_0 Real)")
    with pytest.raises(BadData, match="nothing is asserted"):
        parse(HEAD)


def test_too_many_cases_are_refused_before_they_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    from saddlepoint.verify.vnnlib import dnf

    either = "(assert (or (<= Y_0 1) (>= Y_0 2)))"
    assert len(ask(either * 8).cases[0].clauses) == 256
    monkeypatch.setattr(dnf, "MOST_CASES", 1000)
    with pytest.raises(Unsupported, match=r"1,024 cases .* at most 1,000 cases"):
        ask(either * 100)
    monkeypatch.setattr(dnf, "MOST_ROWS", 20)
    with pytest.raises(Unsupported, match=r"8 cases with 24 rows .* and 20 rows are taken"):
        ask(either * 100)


def test_deep_but_allowed() -> None:
    deep = "(+ 1 " * 190 + "Y_0" + ")" * 190
    assert rows(ask(f"(assert (>= {deep} 0))")) == [[([1.0], 190.0)]]
    formula = "(and " * 195 + "(>= Y_0 0)" + ")" * 195
    found = ask(f"(assert {formula})")
    assert rows(found) == [[([1.0], 0.0)]]
    assert found.unsafe(torch.zeros(2), torch.zeros(1))


def test_files_plain_and_packed(tmp_path: Path) -> None:
    text = (HEAD + BOX).encode()
    (tmp_path / "p.vnnlib").write_bytes(text)
    (tmp_path / "p.vnnlib.gz").write_bytes(gzip.compress(text))
    for name in ("p.vnnlib", "p.vnnlib.gz"):
        assert read_problem(tmp_path / name, 2, 1).inputs == 2


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from saddlepoint.verify.vnnlib import read

    path = tmp_path / "p.vnnlib"
    with pytest.raises(BadData, match="no such file"):
        read_problem(path)
    path.write_bytes(b"(assert \xff)")
    with pytest.raises(BadData, match=r"not a text file \(byte 8"):
        read_problem(path)
    packed = gzip.compress(bytes(5000))
    path.write_bytes(packed[:-9])
    with pytest.raises(BadData, match="damaged gzip file"):
        read_problem(path)
    path.write_bytes(packed[:12] + b"\xff\xff" + packed[14:])
    with pytest.raises(BadData, match="damaged gzip file"):
        read_problem(path)
    monkeypatch.setattr(read, "_LARGEST", 1 << 20)
    path.write_bytes(gzip.compress(bytes(2 << 20)))  # 2 KB that unpack to 2 MiB
    with pytest.raises(BadData, match="more than 1 MiB of text"):
        read_problem(path)
    path.write_text("(declare-const X_0 Real)\n\n  (assert")
    with pytest.raises(BadData, match=r"^p\.vnnlib:3:3: this parenthesis is never closed"):
        read_problem(path)


def test_forms_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    from saddlepoint.verify.vnnlib import sexpr

    monkeypatch.setattr(sexpr, "_MOST_WORDS", 12)
    assert ask("").inputs == 2  # the limit is one form's, not the file's
    with pytest.raises(Unsupported, match="a form of more than 12 words"):
        ask(f"(assert (or {'(<= Y_0 1)' * 4}))")


def test_the_collector_is_left_as_it_was() -> None:
    for before in (False, True):
        (gc.enable if before else gc.disable)()
        with pytest.raises(BadData):
            ask("(")
        assert gc.isenabled() == before
