"""Where each question is paid for, only rows that wait for an answer ask one."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import saddlepoint as sp
from saddlepoint.core.metered import is_metered

WEIGHT = torch.randn(12, 4, generator=torch.Generator().manual_seed(0))


class Paid:
    """A linear model that remembers what it was asked."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()

    def __call__(self, x: Tensor) -> Tensor:
        self.seen |= {row.numpy().tobytes() for row in x}
        return x.flatten(1) @ WEIGHT

    @contextlib.contextmanager
    def attached(self, folder: Path | None) -> Iterator["Paid"]:
        yield self

    def drift(self, x: Tensor) -> float:
        return 0.0

    def usage(self) -> dict[str, Any]:
        return {}

    def fresh(self) -> "Paid":
        return self


@pytest.mark.parametrize("attack", [sp.RandomSearch(60), sp.Square(60)], ids=str)
def test_a_closed_row_asks_nothing(attack: Any) -> None:  # noqa: ANN401
    x = torch.rand(30, 3, 2, 2, generator=torch.Generator().manual_seed(1))
    model, threat = Paid(), sp.Linf(eps=0.05)
    assert is_metered(model)
    y = (x.flatten(1) @ WEIGHT).argmax(1)
    found = sp.search(attack, model, x, y, threat, access="scores")
    plain = sp.search(attack, lambda v: v.flatten(1) @ WEIGHT, x, y, threat, access="scores")
    assert torch.equal(found.broken, plain.broken)
    assert torch.equal(found.x_adv, plain.x_adv)
    assert 0 < found.broken.sum() < 30  # some are closed, and too few at first to be dropped
    assert len(model.seen) <= found.cost.forward.sum()
