"""Rows that rest are neither asked nor charged, and wake up where nobody told them to rest."""

import pytest
import torch
from torch import Tensor

from saddlepoint import Linf, search
from saddlepoint.core.errors import Exhausted


def score(x: Tensor) -> Tensor:
    return torch.stack([torch.ones(len(x)), x.sum(1) / 9], 1)


def test_rest() -> None:
    x, y = torch.full((3, 2), 0.5), torch.zeros(3, dtype=torch.int64)

    def attack(oracle, draw) -> None:  # noqa: ANN001
        u = oracle.threat.start(oracle.x)
        view = oracle.rest(torch.tensor([True, False, True])).rest(torch.tensor([False] * 3))
        view.value(u)
        part, u1 = view.shrink(u)
        assert len(part.x) == 1
        part.value(u1)
        with pytest.raises(Exhausted):
            view.rest(torch.tensor([False, True, False])).value(u)
        oracle.value(u)

    found = search(attack, score, x, y, Linf(eps=0.1))
    assert found.error is None
    assert found.cost.forward.tolist() == [2, 4, 2]
