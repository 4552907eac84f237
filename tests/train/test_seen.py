"""Training on views: what it learns, and that the plain loop takes it."""

from pathlib import Path

import pytest
import torch
from torch import nn

from saddlepoint import Expectation, Linf, TrainPlan, audit, load_data, train
from saddlepoint.models import Seen, build
from saddlepoint.views import Noise, Rotate

VIEWS = Rotate((60, 120)) >> Noise(0.05)


def test_every_call_draws_anew_and_as_the_generator_says() -> None:
    seen, x = Seen(nn.Flatten(), Noise(0.1, box=None)), torch.rand(3, 1, 2, 2)
    torch.manual_seed(0)
    first, second = seen(x), seen(x)
    assert not torch.equal(first, second)
    torch.manual_seed(0)
    assert torch.equal(seen(x), first)
    assert not torch.equal(first[0] - x[0].flatten(), first[1] - x[1].flatten())


@pytest.mark.slow
def test_a_net_that_learnt_on_views_is_right_about_them(tmp_path: Path) -> None:
    half, test = load_data("digits").split("train"), load_data("digits").split("test")
    plan = TrainPlan(
        arch="conv-small", shape=(1, 8, 8), classes=10, threat=Linf(0.05), epochs=8, lr=5e-3
    )
    right = []
    for name in ("plain", "seen"):
        torch.manual_seed(0)
        net = build("conv-small", (1, 8, 8), 10)
        model = net if name == "plain" else Seen(net, VIEWS)
        train(plan, model, half.x, half.y, tmp_path / name, progress=False)
        under = Expectation(VIEWS, draws=2, trials=20)
        found = audit(net, test, Linf(0.05), n=60, under=under, probes=0, figures=0, force=True)
        right.append(found.robust_accuracy)
    assert right[1] > right[0] + 0.3
