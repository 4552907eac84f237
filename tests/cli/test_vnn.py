"""``verify --onnx --vnnlib``: answers against the exact ones of nets that can be worked out."""

import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from saddlepoint.cli.vnn import EXIT_CODES, recheck, solve
from saddlepoint.core.errors import BadData, Invalid, Unsupported
from saddlepoint.verify.vnnlib import answer_text, parse, read_answer
from saddlepoint.verify.vnnlib.decide import ByBounds
from saddlepoint.verify.vnnlib.query import Decision, Query, queries
from tests.cli.kit import run, said

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
sys.path.insert(0, str(Path(__file__).parents[1] / "models"))


def write_net(path: Path, sizes: Sequence[int], x: Sequence[int | str], seed: int = 0) -> None:
    """Write Flatten and then MatMul, Add, Relu for each layer."""
    from graphs import normal, save

    nodes: list[Any] = [("Flatten", ["x"], "h0", {})]
    held = {}
    for i, (inner, out) in enumerate(pairwise(sizes)):
        last = i == len(sizes) - 2
        held[f"w{i}"] = normal(inner, out, seed=seed + i) / np.float32(inner**0.5)
        held[f"b{i}"] = normal(out, seed=seed + 50 + i) / 2
        nodes.append(("MatMul", [f"h{i}", f"w{i}"], f"m{i}", {}))
        nodes.append(("Add", [f"m{i}", f"b{i}"], "y" if last else f"a{i}", {}))
        if not last:
            nodes.append(("Relu", [f"a{i}"], f"h{i + 1}", {}))
    save(path, nodes, held, x, 13)


def write_difference(path: Path) -> None:
    """Write y = (relu(x_0 - x_1), relu(x_1 - x_0)), whose sum is |x_0 - x_1|."""
    from graphs import save

    w = np.array([[1, -1], [-1, 1]], np.float32)
    nodes: list[Any] = [("MatMul", ["x", "w"], "m", {}), ("Relu", ["m"], "y", {})]
    save(path, nodes, {"w": w}, (1, 2))


HEAD = "".join(f"(declare-const {name} Real)\n" for name in ("X_0", "X_1", "Y_0", "Y_1"))
UNIT = "".join(f"(assert (>= X_{i} 0)) (assert (<= X_{i} 1))\n" for i in (0, 1))
SUM = "(+ Y_0 Y_1)"

# |x_0 - x_1| over the unit square is exactly [0, 1]
ANSWERS = {
    f"(assert (>= {SUM} 1.0001))": "unsat",
    f"(assert (>= {SUM} 0.999))": "sat",
    f"(assert (<= {SUM} -0.0001))": "unsat",
    f"(assert (<= {SUM} 0.01))": "sat",
    "(assert (and (>= Y_0 0.01) (>= Y_1 0.01)))": "unsat",  # never both: two rows at once
    "(assert (or (and (>= Y_0 0.01) (>= Y_1 0.01)) (>= Y_1 2)))": "unsat",
    "(assert (or (and (>= Y_0 0.01) (>= Y_1 0.01)) (>= Y_1 0.99)))": "sat",
    "(assert (or (and (>= X_0 0.5) (<= X_1 0.4) (>= Y_1 0.1)) (and (<= X_0 0.2) (>= Y_0 0.3))))": (
        "unsat"
    ),
    "(assert (>= X_0 0.75)) (assert (<= X_1 0.25)) (assert (<= Y_0 0.4999))": "unsat",
    "(assert (>= X_0 2))": "unsat",  # an empty box
    "(assert (<= X_0 0.5))": "sat",  # nothing is asked of the outputs
    "(assert (< Y_0 0))": "unsat",  # holds by the strict sign only
    "(assert (<= Y_0 0))": "sat",
    "(assert (= X_0 0.1)) (assert (= X_1 0.7)) (assert (>= Y_1 0.61))": "unsat",
    "(assert (= X_0 0.1)) (assert (= X_1 0.7)) (assert (>= Y_1 0.59))": "sat",
}


def files(folder: Path, text: str) -> tuple[Path, Path]:
    write_difference(folder / "net.onnx")
    (folder / "p.vnnlib").write_text(HEAD + UNIT + text)
    return folder / "net.onnx", folder / "p.vnnlib"


@pytest.mark.parametrize("text", ANSWERS)
def test_answers(tmp_path: Path, text: str) -> None:
    found = solve(*files(tmp_path, text), 60, ByBounds())
    assert found.verdict == ANSWERS[text]
    assert (found.found is not None) == (found.verdict == "sat")


@pytest.mark.slow  # splitting neurons does not end on every one of them
@pytest.mark.parametrize("text", ANSWERS)
def test_answers_by_splitting_neurons_are_not_wrong(tmp_path: Path, text: str) -> None:
    found = solve(*files(tmp_path, text), 2, ByBounds(few=0))
    assert found.verdict in (ANSWERS[text], "timeout")


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        (f"(assert (<= (+ X_0 X_1) 0.5)) (assert (>= {SUM} 1.0001))", "unsat"),
        (f"(assert (<= (+ X_0 X_1) 1.5)) (assert (<= {SUM} 0.01))", "sat"),
        # It is unsat, but only the constraint on both inputs makes it so.
        (f"(assert (<= (+ X_0 X_1) 0.5)) (assert (>= {SUM} 0.9))", "unknown"),
    ],
)
def test_constraints_on_several_inputs(tmp_path: Path, text: str, verdict: str) -> None:
    assert solve(*files(tmp_path, text), 60, ByBounds()).verdict == verdict


def test_a_counterexample_is_written_read_and_checked(tmp_path: Path) -> None:
    onnx, vnnlib = files(tmp_path, f"(assert (>= {SUM} 0.999))")
    answer = solve(onnx, vnnlib, 20, ByBounds())
    result = tmp_path / "result.txt"
    result.write_text(answer_text(answer))
    found = recheck(onnx, vnnlib, result)
    assert (found.exact, found.tolerated, found.difference) == (True, True, 0.0)
    result.write_text("sat\n((X_0 1) (X_1 0.5)\n(Y_0 0.5) (Y_1 0))")
    assert not recheck(onnx, vnnlib, result).exact
    result.write_text("unsat")
    with pytest.raises(BadData, match="holds no counterexample"):
        recheck(onnx, vnnlib, result)


class Fixed:
    """A verifier that says what it is told, and remembers what it was asked."""

    def __init__(self, *told: Decision) -> None:
        self.told, self.asked = list(told), list[Query]()

    def __call__(self, model: nn.Module, query: Query, seconds: float) -> Sequence[Decision]:
        self.asked.append(query)
        return [self.told.pop(0) for _ in query.low]


THREE = "(assert (or {}))".format(
    " ".join(f"(and (>= X_0 {a}) (<= X_0 {a + 0.1}) (>= Y_0 2))" for a in (0, 0.3, 0.6))
)
SAFE, OPEN, LATE = Decision("safe"), Decision("open"), Decision("timeout")
WRONG = Decision("unsafe", torch.ones(2))


@pytest.mark.parametrize(
    ("told", "verdict"),
    [
        ((SAFE, SAFE, SAFE), "unsat"),
        ((SAFE, OPEN, SAFE), "unknown"),
        ((OPEN, LATE, SAFE), "timeout"),
        ((LATE, OPEN, SAFE), "timeout"),
        ((SAFE, WRONG, SAFE), "unknown"),  # onnxruntime does not confirm it
    ],
)
def test_decisions_are_joined(tmp_path: Path, told: Any, verdict: str) -> None:  # noqa: ANN401
    decide = Fixed(*told)
    assert solve(*files(tmp_path, THREE), 20, decide).verdict == verdict
    (query,) = decide.asked
    assert query.low.tolist() == [[0, 0], [0.3, 0], [0.6, 0]]


def test_a_found_input_is_taken_into_its_own_box(tmp_path: Path) -> None:
    """In float32 an input may lie a rounding beyond the box; the box is the file's."""
    text = "(assert (>= X_0 0.9)) (assert (<= X_1 0.1)) (assert (>= Y_0 0.999999))"
    decide = Fixed(Decision("unsafe", torch.tensor([1 + 1e-7, -1e-9])))
    answer = solve(*files(tmp_path, text), 20, decide)
    assert answer.verdict == "sat"
    assert answer.found is not None
    assert answer.found.x.tolist() == [1, 0]


def test_time_that_is_over_is_a_timeout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 100.0, 200.0])
    monkeypatch.setattr("saddlepoint.cli.vnn.time.monotonic", lambda: next(clock))
    decide = Fixed()
    assert solve(*files(tmp_path, THREE), 50, decide).verdict == "timeout"
    assert decide.asked == []


def test_what_cannot_be_bounded_is_unknown_and_says_why(tmp_path: Path) -> None:
    def refuse(model: nn.Module, query: Query, seconds: float) -> Sequence[Decision]:
        raise Unsupported("no bounds for the operator erf")

    answer = solve(*files(tmp_path, THREE), 20, refuse)
    assert answer.verdict == "unknown"
    assert answer.notes == ("no bounds: no bounds for the operator erf",)


def test_bad_arguments(tmp_path: Path) -> None:
    onnx, vnnlib = files(tmp_path, THREE)
    with pytest.raises(Invalid, match="timeout = 0: must be a number of seconds above 0"):
        solve(onnx, vnnlib, 0, Fixed())
    with pytest.raises(BadData, match=r"no such file; a network is an \.onnx file"):
        solve(tmp_path / "other.onnx", vnnlib, 1, Fixed())
    with pytest.raises(BadData, match="no such file; a property is"):
        solve(onnx, tmp_path / "other.vnnlib", 1, Fixed())
    vnnlib.write_text(vnnlib.read_text().replace("declare-const Y_1", "declare-const X_2"))
    with pytest.raises(BadData, match="X_2 has no lower bound"):
        solve(onnx, vnnlib, 1, Fixed())
    vnnlib.write_text(vnnlib.read_text() + "(assert (= X_2 0))")
    with pytest.raises(BadData, match=r"takes 2 numbers, as \[1, 2\], but the property declares 3"):
        solve(onnx, vnnlib, 1, Fixed())
    vnnlib.write_text(HEAD + "(declare-const Y_2 Real)" + UNIT)
    with pytest.raises(BadData, match=r"declares 3 outputs, but .* gives 2"):
        solve(onnx, vnnlib, 1, Fixed())


def lattice(net: Any, low: Tensor, high: Tensor, steps: int) -> Tensor:  # noqa: ANN401
    axes = [torch.linspace(float(a), float(b), steps) for a, b in zip(low, high, strict=True)]
    return net.scores(torch.cartesian_prod(*axes))  # type: ignore[no-any-return]


@pytest.mark.parametrize("seed", range(4))
def test_random_nets_are_bracketed_by_a_lattice(tmp_path: Path, seed: int) -> None:
    """Just below the largest margin of a lattice it is sat; clearly above, unsat and not sat."""
    assert bracket(tmp_path, seed, 60, ByBounds()) == ["sat", "unsat"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_splitting_neurons_is_not_wrong_either(tmp_path: Path, seed: int) -> None:
    below, above = bracket(tmp_path, seed, 5, ByBounds(few=0))
    assert (below, above) != ("timeout", "timeout")
    assert below in ("sat", "timeout")
    assert above in ("unsat", "timeout")


def bracket(folder: Path, seed: int, seconds: float, decide: ByBounds) -> list[str]:
    from saddlepoint.models.onnx.flat import load_flat

    onnx = folder / "net.onnx"
    write_net(onnx, (3, 8, 8, 2), (1, 1, 3, 1), seed)
    net = load_flat(onnx, 3)
    margin = lattice(net, -torch.ones(3), torch.ones(3), 21) @ torch.tensor([1.0, -1.0]).double()
    top, spread = float(margin.max()), float(margin.max() - margin.min())
    head = "".join(f"(declare-const {v} Real)" for v in ("X_0", "X_1", "X_2", "Y_0", "Y_1"))
    box = "".join(f"(assert (and (>= X_{i} -1) (<= X_{i} 1)))" for i in range(3))
    verdicts = []
    for limit in (top - 0.01 * spread, top + 0.1 * spread):
        path = folder / "p.vnnlib"
        path.write_text(f"{head}{box}(assert (>= (- Y_0 Y_1) {limit!r}))")
        verdicts.append(solve(onnx, path, seconds, decide).verdict)
    return verdicts


def test_codes_are_distinct_and_no_one_elses() -> None:
    codes = list(EXIT_CODES.values())
    assert len(set(codes)) == 4
    assert not set(codes) & {0, 1, 2, 3, 130}


def test_many_cases_are_asked_in_order_and_in_pieces() -> None:
    cases = "".join(
        f"(and (>= X_0 {i}) (<= X_0 {i + 1}) (>= X_1 0) (<= X_1 1) "
        + ("(or (<= Y_0 1) (<= Y_1 1))" if 70 <= i < 75 else f"(<= Y_0 {i})")
        + ")"
        for i in range(100)
    )
    problem = parse(f"{HEAD}(assert (or {cases}))")
    found = list(queries(problem, (2,)))
    assert [len(q.low) for q in found] == [64, 6, 5, 25]
    assert torch.cat([q.low for q in found])[:, 0].tolist() == list(range(100))
    assert [q.group.tolist() for q in found] == [[0], [0], [0, 1], [0]]


def test_rows_that_may_be_zero_are_raised_and_strict_ones_not() -> None:
    problem = parse(HEAD + UNIT + "(assert (or (> Y_0 1) (>= Y_1 1)))")
    (query,) = queries(problem, (2,))
    assert query.d[0].tolist() == [-1, -1 + 1e-9]


def test_results_are_read_as_they_are_written(tmp_path: Path) -> None:
    answer = solve(*files(tmp_path, f"(assert (>= {SUM} 0.999))"), 20, ByBounds())
    again = read_answer(answer_text(answer))
    assert again.found is not None
    assert answer.found is not None
    assert torch.equal(again.found.x, answer.found.x)
    assert torch.equal(again.found.y, answer.found.y)


def test_the_verb_answers_by_output_file_and_exit_code(tmp_path: Path) -> None:
    onnx, vnnlib = files(tmp_path, f"(assert (>= {SUM} 1.0001))")
    words = ("verify", "--onnx", onnx, "--vnnlib", vnnlib)
    assert said(run(*words, code=20)).strip() == "unsat"
    vnnlib.write_text(HEAD + UNIT + f"(assert (>= {SUM} 0.999))")
    result = tmp_path / "out" / "result.txt"
    assert said(run(*words, "--out", result, "--timeout", 60, code=10)).strip() == "sat"
    assert result.read_text().startswith("sat\n((X_0 ")
    assert "holds: exact" in said(run(*words, "--check", result))
    assert "((X_0 " in run(*words, code=10).output
    result.write_text("((X_0 0.5) (X_1 0.5) (Y_0 0) (Y_1 0))")
    assert "does not hold" in said(run(*words, "--check", result, code=1))
    result.write_text("((X_0 0.99895) (X_1 0) (Y_0 0.9) (Y_1 0))")
    shown = said(run(*words, "--check", result, code=1))
    assert "within the tolerance of 0.0001 only" in shown
    assert "the stated outputs differ from ONNX Runtime's by 0.11" in shown
    vnnlib.write_text(HEAD + "(assert (>= X_0 0)")
    assert "p.vnnlib:5:1: this parenthesis is never closed" in said(run(*words, code=2))


def test_notes_are_not_part_of_the_answer(tmp_path: Path) -> None:
    onnx, vnnlib = files(tmp_path, "(assert (>= X_0 2))")
    result = run("verify", "--onnx", onnx, "--vnnlib", vnnlib, code=20)
    assert result.stdout == "unsat\n"
    assert "note: 1 of the property's boxes are empty" in result.stderr
