"""VNN-LIB: properties of networks as files, and answers as the VNN competition writes them."""

from saddlepoint.verify.vnnlib.answer import (
    Answer,
    Check,
    Counterexample,
    answer_text,
    check,
    read_answer,
)
from saddlepoint.verify.vnnlib.problem import Case, Clause, Problem, text_of
from saddlepoint.verify.vnnlib.read import parse, read_problem

__all__ = [
    "Answer",
    "Case",
    "Check",
    "Clause",
    "Counterexample",
    "Problem",
    "answer_text",
    "check",
    "parse",
    "read_answer",
    "read_problem",
    "text_of",
]
