"""Measuring after an epoch asks a model in few sizes of batches, with the same answers."""

import torch
from torch import Tensor, nn

from saddlepoint import PGD
from saddlepoint.train.measure import measure
from saddlepoint.train.rounded import Rounded, rounded
from saddlepoint.train.samples import Samples
from tests.train.kit import Digits, MakeNet, MakePlan


def test_rounding_adds_an_eighth_at_most_and_leaves_few_sizes() -> None:
    sizes = {rounded(n) for n in range(1, 513)}
    assert len(sizes) == 8 + 8 * 6
    assert all(n <= rounded(n) <= 1.125 * n for n in range(1, 513))


def test_answers_and_gradients_are_those_of_the_model() -> None:
    torch.manual_seed(0)
    net, x = nn.Sequential(nn.Flatten(), nn.Linear(12, 3)), torch.rand(77, 3, 2, 2)
    leaf = x.clone().requires_grad_()
    (g,) = torch.autograd.grad(Rounded(net)(leaf).square().sum(), leaf)
    own = x.clone().requires_grad_()
    torch.testing.assert_close(Rounded(net)(x), net(x))
    torch.testing.assert_close(g, torch.autograd.grad(net(own).square().sum(), own)[0])


def test_a_check_asks_in_rounded_sizes(plan: MakePlan, net: MakeNet, digits: Digits) -> None:
    x, y, *_ = digits
    model, seen = net(), set[int]()
    samples = Samples.of(plan(held_out=300, check=PGD(steps=5), check_n=299), x, y)

    def note(module: nn.Module, args: tuple[Tensor]) -> None:
        seen.add(len(args[0]))

    model.register_forward_pre_hook(note)
    measure(model, samples, None)
    assert {rounded(n) for n in seen if n != 300} == seen - {300}
    assert len(seen) > 2
