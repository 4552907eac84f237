"""Branch and bound where memory is short, and where nothing may be spent."""

import pytest
import torch
from certified import hard_case

from saddlepoint.verify import branch
from saddlepoint.verify.batch import Batch
from saddlepoint.verify.branch import Branch
from saddlepoint.verify.problem import Problem
from saddlepoint.verify.tree import Leaf

SEED = 18


def problem() -> Problem:
    proof = hard_case(SEED).verdict.proof
    assert proof is not None
    assert proof.problem is not None
    return proof.problem


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("full"), RuntimeError("allocate memory")])
def test_batches_shrink_where_memory_is_missing(
    error: RuntimeError, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = problem()
    groups, how = range(len(given.a)), Branch(seconds=1e9, subproblems=2000)
    plain = how(given, groups)
    sizes: list[int] = []
    bounded = branch._Search._bounded

    def short(self: branch._Search, leaves: list[Leaf]) -> tuple[list[Leaf], Batch]:
        sizes.append(len(leaves))
        if len(leaves) > 1:
            raise error
        return bounded(self, leaves)

    monkeypatch.setattr(branch._Search, "_bounded", short)
    found = how(given, groups)
    assert plain.closed
    assert found.closed
    assert max(sizes) > 1
    assert sizes[-1] == 1


def test_other_errors_are_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no such kernel")

    given = problem()
    monkeypatch.setattr(branch._Search, "_bounded", broken)
    with pytest.raises(RuntimeError, match="no such kernel"):
        Branch(seconds=1e9)(given, range(len(given.a)))


def test_nothing_spent_decides_nothing() -> None:
    given = problem()
    found = Branch(seconds=1e9, subproblems=0)(given, range(len(given.a)))
    assert (found.closed, found.spent, found.found) == (False, 0, None)
