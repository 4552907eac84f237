"""What an adversary without any answer may do, and questions rationed by sample."""

from dataclasses import dataclass
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.core.access import Blind, check_fit
from saddlepoint.core.door import Door
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Unsupported
from saddlepoint.core.goal import Untargeted
from saddlepoint.core.oracle import Oracle
from saddlepoint.core.search import attack_rows

X = torch.full((4, 3), 0.5)
Y = torch.zeros(4, dtype=torch.int64)


def net() -> nn.Linear:
    """Class 1 wins where the first coordinate is large."""
    model = nn.Linear(3, 2)
    model.load_state_dict(
        {"weight": torch.tensor([[0.0, 0, 0], [1.0, 0, 0]]), "bias": torch.tensor([0.55, 0.0])}
    )
    return model


@dataclass(frozen=True)
class Move:
    """Ask about one fixed step so many times, by the named verb."""

    verb: Literal["propose", "solved", "value"]
    times: int = 1
    step: float = 0.0

    def __call__(self, oracle: Blind[Any], draw: Draw) -> None:
        u = torch.zeros_like(oracle.x)
        for _ in range(self.times):
            said = getattr(oracle, self.verb)(u + self.step)
            assert (said is None) == (self.verb == "propose")
            (oracle,) = oracle.shrink(at=1.0)
            u = torch.zeros_like(oracle.x)


def oracle(door: Door, access: Any = "none", **options: Any) -> Oracle[Any]:  # noqa: ANN401
    return Oracle(door, X, Untargeted(Y), sp.Linf(0.1), access=access, **options)


@pytest.mark.parametrize("verb", ["solved", "value"])
def test_without_access_no_question_is_answered(verb: Any) -> None:  # noqa: ANN401
    with Door(net()) as door, pytest.raises(Unsupported, match="granted: none"):
        attack_rows(Move(verb), oracle(door), Draw.of(0, torch.arange(4)))


def test_a_proposal_is_judged_paid_for_and_kept() -> None:
    with Door(net()) as door:
        asked = oracle(door)
        attack_rows(Move("propose", step=0.1), asked, Draw.of(0, torch.arange(4)))
    assert asked.ledger.broken.all()
    assert asked.ledger.forward.tolist() == [2, 2, 2, 2]
    assert torch.allclose(asked.ledger.u, torch.tensor(0.1))


def test_attacks_are_checked_against_no_access() -> None:
    check_fit(sp.Guess(k=3), sp.Linf(0.1), "none")
    check_fit(sp.Restarts(sp.Guess(k=3), n=2), sp.Linf(0.1), "none")
    for attack in (sp.Square(n_queries=5), sp.PGD(), sp.Restarts(sp.PGD()), sp.Bisect(sp.Guess())):
        with pytest.raises(Unsupported, match="needs access to"):
            check_fit(attack, sp.Linf(0.1), "none")


def test_an_allowance_is_kept_row_by_row() -> None:
    left = torch.tensor([0, 1, 2, 9], dtype=torch.int32)
    clean = net()(X).detach()
    with Door(net()) as door:
        asked = oracle(door, "labels", allowance=left, clean=clean)
        attack_rows(Move("solved", times=4), asked, Draw.of(0, torch.arange(4)))
    assert asked.ledger.forward.tolist() == [0, 1, 2, 4]


def test_an_allowance_holds_without_early_stop() -> None:
    left = torch.tensor([1, 1, 1, 2], dtype=torch.int32)
    with Door(net()) as door:
        asked = oracle(door, "labels", allowance=left, clean=net()(X).detach(), early_stop=False)
        attack_rows(Move("solved", times=4, step=0.1), asked, Draw.of(0, torch.arange(4)))
    assert asked.ledger.forward.tolist() == [1, 1, 1, 2]


def test_guessing_learns_nothing_but_breaks() -> None:
    x: Tensor = torch.rand(8, 3, generator=torch.Generator().manual_seed(0))
    y = net()(x).argmax(1)
    found = sp.search(sp.Guess(k=30), net(), x, y, sp.Linf(0.4), access="none")
    again = sp.search(sp.Guess(k=30), net(), x, y, sp.Linf(0.4))
    assert torch.equal(found.margin, again.margin)
    assert found.broken.any()
