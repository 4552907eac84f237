"""``verify --onnx --vnnlib``: one network, one property, one answer, as in the VNN competition."""

import time
from pathlib import Path

import torch
from torch import Tensor

from saddlepoint.core.errors import BadData, Invalid, Unsupported
from saddlepoint.models.onnx.flat import FlatOnnx, load_flat
from saddlepoint.verify.vnnlib.answer import (
    Answer,
    Check,
    Counterexample,
    Verdict,
    check,
    read_answer,
)
from saddlepoint.verify.vnnlib.problem import Case, Problem
from saddlepoint.verify.vnnlib.query import Decide, Decision, queries
from saddlepoint.verify.vnnlib.read import read_problem, read_text

__all__ = ["EXIT_CODES", "recheck", "solve"]

EXIT_CODES: dict[Verdict, int] = {"sat": 10, "unsat": 20, "unknown": 30, "timeout": 40}
_CASES_TRIED = 64  # at single points, before anything is bounded
_POINTS = 8


def solve(onnx: Path, vnnlib: Path, timeout: float, decide: Decide, seed: int = 0) -> Answer:
    """Answer whether the network can be unsafe in the sense of the property.

    ``sat`` comes with a counterexample that ONNX Runtime confirms, with no tolerance; ``unsat``
    means that ``decide`` proved every case; ``timeout`` that ``timeout`` seconds were over before;
    ``unknown`` that the verifier gave up. Raises what ``load_flat`` and ``read_problem`` do.
    """
    if not timeout > 0:
        raise Invalid("timeout", timeout, "a number of seconds above 0")
    end = time.monotonic() + timeout
    problem, net = _loaded(onnx, vnnlib)
    notes = (*problem.notes, *([net.note] if net.note else []))
    if not problem.cases:
        return Answer("unsat", notes=notes)
    found = _guess(problem, net, seed)
    if found is not None:
        return Answer("sat", found, notes)
    if net.model is None:
        return Answer("unknown", notes=notes)
    try:
        return _decided(problem, net, decide, end, notes)
    except Unsupported as error:  # an operator without bounds, say: points alone found nothing
        return Answer("unknown", notes=(*notes, f"no bounds: {error}"))


def recheck(onnx: Path, vnnlib: Path, answer: Path) -> Check:
    """Check the counterexample of a result file; ``BadData`` when it holds none."""
    found = read_answer(read_text(answer), answer.name).found
    if found is None:
        raise BadData(f"{answer}: holds no counterexample to check")
    problem, net = _loaded(onnx, vnnlib)
    return check(problem, found, net.scores)


def _loaded(onnx: Path, vnnlib: Path) -> tuple[Problem, FlatOnnx]:
    if not onnx.is_file():
        raise BadData(f"{onnx}: no such file; a network is an .onnx file")
    problem = read_problem(vnnlib)
    net = load_flat(onnx, problem.inputs)
    if net.outputs != problem.outputs:
        raise BadData(
            f"{vnnlib}: declares {problem.outputs} outputs, but {onnx} gives {net.outputs}"
        )
    return problem, net


def _decided(
    problem: Problem, net: FlatOnnx, decide: Decide, end: float, notes: tuple[str, ...]
) -> Answer:
    if net.model is None:
        raise AssertionError("asked for bounds of a network that was not converted")
    left: Verdict = "unsat"
    place = 0
    for query in queries(problem, net.shape):
        seconds = end - time.monotonic()
        if seconds <= 0:
            return Answer("timeout", notes=notes)
        for decision in decide(net.model, query, seconds):
            found = _confirmed(problem, problem.cases[place], net, decision)
            if found is not None:
                return Answer("sat", found, notes)
            left = _joined(left, decision)
            place += 1
    if place != len(problem.cases):
        raise AssertionError(f"{place} decisions for {len(problem.cases)} cases")
    over = left != "unsat" and time.monotonic() >= end
    return Answer("timeout" if over else left, notes=notes)


def _joined(left: Verdict, decision: Decision) -> Verdict:
    """Return what is left to say after one more case, none of which was shown unsafe."""
    if decision.fate == "safe":
        return left
    return "timeout" if "timeout" in (decision.fate, left) else "unknown"


def _confirmed(
    problem: Problem, case: Case, net: FlatOnnx, decision: Decision
) -> Counterexample | None:
    """Run the input that a verifier found through ONNX Runtime; it may differ in float32."""
    if decision.x is None:
        return None
    x = decision.x.detach().cpu().double().flatten()
    return _tried(problem, net, torch.clamp(x, case.low, case.high)[None])


def _tried(problem: Problem, net: FlatOnnx, points: Tensor) -> Counterexample | None:
    """Return the first of some points (N, inputs) that has the property."""
    for x, y in zip(points, net.scores(points), strict=True):
        if problem.unsafe(x, y):
            return Counterexample(x, y)
    return None


def _guess(problem: Problem, net: FlatOnnx, seed: int) -> Counterexample | None:
    """Try the centre of each of the first boxes and random points in it."""
    draw = torch.Generator().manual_seed(seed)
    for case in problem.cases[:_CASES_TRIED]:
        share = torch.rand(_POINTS, problem.inputs, generator=draw, dtype=torch.float64)
        share[0] = 0.5
        points = torch.clamp(case.low + share * (case.high - case.low), case.low, case.high)
        found = _tried(problem, net, points)
        if found is not None:
            return found
    return None
