"""Weight perturbation found on a few rows of a batch, and the search at the perturbed weights."""

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

from saddlepoint import PGD, Linf
from saddlepoint.core.draw import Draw
from saddlepoint.train import AWP, MART, TRADES, Inner, Madry, RobustLoss, train
from saddlepoint.train.worst import Adversary
from tests.train.kit import Digits, MakeNet, MakePlan
from tests.train.test_awp import problem

GAMMA, FEW = 0.2, 7


def adversary(net: nn.Module, rows: int) -> Adversary:
    inner = Inner(Linf(eps=0.1), PGD(steps=2))
    return Adversary(inner, Draw.of(3, torch.arange(10, 10 + rows)), net, net)


@pytest.mark.parametrize("loss", [Madry(), TRADES(), MART()], ids=repr)
def test_it_is_the_loss_of_a_copy_moved_by_the_first_rows(loss: RobustLoss) -> None:
    net, x, y = problem()
    moved = copy.deepcopy(net)
    loss(moved, x[:FEW], y[:FEW], adversary(moved, FEW)).backward()
    with torch.no_grad():
        for w in moved.parameters():
            if w.requires_grad and w.dim() > 1:
                assert w.grad is not None
                w += GAMMA * w.norm() * w.grad / w.grad.norm()
    moved.zero_grad()
    value = loss(moved, x, y, adversary(moved, len(x)))
    value.backward()
    got = AWP(loss, GAMMA, rows=FEW)(net, x, y, adversary(net, len(x)))
    got.backward()
    torch.testing.assert_close(got, value)
    for p, q in zip(net.parameters(), moved.parameters(), strict=True):
        if q.grad is not None:
            torch.testing.assert_close(p.grad, q.grad)


def test_as_many_rows_as_the_batch_has_are_all() -> None:
    values = []
    for rows in (None, 24, 1000):
        net, x, y = problem()
        values.append(AWP(gamma=GAMMA, rows=rows)(net, x, y, adversary(net, len(x))).item())
    assert values[0] == values[1] == values[2]


def test_the_first_rows_are_searched_as_in_the_whole_batch() -> None:
    net, x, y = problem()
    whole = adversary(net, len(x))
    few = whole.first(FEW)(net, x[:FEW], y[:FEW])
    torch.testing.assert_close(few, whole(net, x, y)[:FEW])
    assert not few.equal(adversary(net, FEW + 1).first(FEW)(net, x[1 : FEW + 1], y[1 : FEW + 1]))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_whole_run_learns(
    plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path, precision: str
) -> None:
    x, y, *_ = digits
    p = plan(loss=AWP(TRADES(), gamma=0.01, rows=16), epochs=2, precision=precision)
    assert p.describe()["loss"] == "AWP(TRADES(), gamma=0.01, rows=16)"
    trained = train(p, net(), x, y, tmp_path, progress=False)
    assert trained.history[1].loss < trained.history[0].loss
