"""Cases side by side: boxes and rows of one layout, as verifiers take them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import torch
from torch import Tensor, nn

from saddlepoint.verify.vnnlib.problem import Case, Problem

__all__ = ["Decide", "Decision", "Query", "queries"]

TOUCH = 1e-9  # by which rows that may be 0 are raised, so that "<= 0" excludes it
_MOST = 64  # cases at a time

Fate: TypeAlias = Literal["safe", "unsafe", "open", "timeout"]


@dataclass(frozen=True, eq=False)
class Query:
    """B boxes low <= x <= high, (B, *F), each with rows m_r(z) = C_r z + d_r of the outputs z.

    ``C`` is (B, R, K), ``d`` (B, R), all float64; ``group`` (R,) says which rows belong together. A
    box is safe if every group has a row with m_r <= 0 wherever x is in it, and unsafe at an x where
    some group has all rows > 0. Rows that the file lets be 0 are raised by 1e-9: a proof of
    m_r + 1e-9 <= 0 is one of m_r < 0, and an x with 0 >= m_r > -1e-9 is refused by the final check.
    """

    low: Tensor
    high: Tensor
    C: Tensor
    d: Tensor
    group: Tensor


@dataclass(frozen=True, eq=False)
class Decision:
    """What is known of one box; ``x`` (*F) is the input that shows it unsafe."""

    fate: Fate
    x: Tensor | None = None


class Decide(Protocol):
    """A verifier: decides the boxes of a query within ``seconds``, in their order."""

    def __call__(self, model: nn.Module, query: Query, seconds: float) -> Sequence[Decision]:
        """Return a decision for each box; ``model`` maps (B, *F) to (B, K)."""
        ...


def queries(problem: Problem, shape: tuple[int, ...]) -> Iterator[Query]:
    """Yield the cases of a problem, up to 64 neighbours of one layout at a time, in order.

    ``shape`` is F, that of one input of the network; X_0, X_1 ... fill it in row-major order.
    Constraints on several inputs are left out: what is proven without them holds with them.

    >>> from saddlepoint.verify.vnnlib.read import parse
    >>> problem = parse('''(declare-const X_0 Real) (declare-const Y_0 Real) (assert (<= Y_0 3))
    ...     (assert (or (and (>= X_0 0) (<= X_0 1)) (and (>= X_0 4) (<= X_0 5))))''')
    >>> (query,) = queries(problem, (1,))
    >>> query.low.tolist(), query.C.tolist(), query.group.tolist()
    ([[0.0], [4.0]], [[[-1.0]], [[-1.0]]], [0])
    """
    waiting: list[Case] = []
    layout: list[int] = []
    for case in problem.cases:
        found = [len(clause.d) for clause in case.clauses]
        if waiting and (found != layout or len(waiting) == _MOST):
            yield _stacked(waiting, shape)
            waiting = []
        layout = found
        waiting.append(case)
    if waiting:
        yield _stacked(waiting, shape)


def _stacked(cases: Sequence[Case], shape: tuple[int, ...]) -> Query:
    rows = [case.rows() for case in cases]
    d = [d + TOUCH * ~strict for _, d, strict, _ in rows]
    return Query(
        torch.stack([case.low for case in cases]).reshape(-1, *shape),
        torch.stack([case.high for case in cases]).reshape(-1, *shape),
        torch.stack([C for C, _, _, _ in rows]),
        torch.stack(d),
        rows[0][3],
    )
