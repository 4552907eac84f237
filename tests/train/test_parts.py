"""The inner maximum, the batches and the plan, each on its own."""

import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn

from saddlepoint import FGSM, PGD, Linf, Margin
from saddlepoint.core.draw import Draw
from saddlepoint.train import Inner, Madry, Natural, Worst
from saddlepoint.train.augment import cropped, crops
from saddlepoint.train.samples import Samples
from saddlepoint.train.schedule import SCHEDULES, factor
from tests.train.kit import MakePlan


def test_worst_reaches_the_closed_form_on_a_linear_model() -> None:
    model = nn.Linear(6, 2).requires_grad_(True)
    x, y = torch.rand(8, 6), torch.arange(8) % 2
    w = model.weight[1] - model.weight[0]
    toward = torch.where(y[:, None] == 0, w.sign(), -w.sign())
    optimum = (x + 0.2 * toward).clamp(0, 1)
    x_adv = Inner(Linf(eps=0.2), PGD(steps=5))(model, x, y)
    margins = [(model(z)[:, 1] - model(z)[:, 0]) * (1 - 2 * y) for z in (x_adv, optimum)]
    torch.testing.assert_close(*margins)
    assert not x_adv.requires_grad
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


def test_worst_is_a_function_of_the_samples_and_the_draw() -> None:
    torch.manual_seed(0)  # of some weights both draws end at one point
    model = nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 3))
    x, y, ids = torch.rand(8, 6), torch.arange(8) % 3, torch.arange(8) + 50
    worst, draw = Inner(Linf(eps=0.2), PGD(steps=1)), Draw.of(4, ids)
    whole = worst(model, x, y, draw=draw)
    torch.rand(3)
    half = worst(model, x[4:], y[4:], draw=draw[torch.arange(4, 8)])
    torch.testing.assert_close(whole[4:], half)
    assert not worst(model, x, y, draw=draw.tag("epoch", 2)).equal(whole)


def test_worst_leaves_batch_norm_alone_and_restores_its_mode() -> None:
    model = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
    model[1].weight.requires_grad_(False)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    Inner(Linf(eps=0.2), FGSM())(model, torch.rand(8, 6), torch.arange(8) % 3, Margin())
    assert all(v.equal(before[k]) for k, v in model.state_dict().items())
    assert all(m.training for m in model.modules())
    assert [p.requires_grad for p in model[1].parameters()] == [False, True]


def test_madry_learns_at_the_worst_point_natural_never_asks() -> None:
    model, x, y = nn.Linear(2, 2), torch.zeros(3, 2), torch.zeros(3).long()
    ce = nn.functional.cross_entropy
    assert Madry()(model, x, y, moved).equal(ce(model(x + 1), y))
    smooth = ce(model(x), y, label_smoothing=0.2)
    assert Natural(label_smoothing=0.2)(model, x, y, None).equal(smooth)


@pytest.fixture
def samples(plan: MakePlan) -> Samples:
    x = torch.arange(103)[:, None, None, None].expand(103, 1, 8, 8).to(torch.uint8)
    return Samples.of(plan(batch_size=16, held_out=0.1), x, torch.arange(103) % 10)


def test_the_first_held_out_samples_are_of_all_classes_though_the_data_is_sorted(
    plan: MakePlan,
) -> None:
    y = torch.arange(10).repeat_interleave(100)
    samples = Samples.of(plan(held_out=0.5), torch.rand(1000, 1, 8, 8), y)
    counts = samples.measured(100).y.bincount(minlength=10)
    assert counts.min() >= 3
    assert samples.measured(100).ids.equal(samples.measured().ids[:100])


def test_every_epoch_deals_out_every_training_sample_once(samples: Samples) -> None:
    first, again, other = (list(samples.batches(e)) for e in (1, 1, 2))
    ids = torch.cat([b.ids for b in first])
    assert sorted([*ids.tolist(), *samples.held_out.tolist()]) == list(range(103))
    assert len(first) == samples.steps == 6
    assert {len(b.ids) for b in first} <= {15, 16}
    assert ids.equal(torch.cat([b.ids for b in again]))
    assert not ids.equal(torch.cat([b.ids for b in other]))
    for b in first:
        assert b.x[:, 0, 0, 0].mul(255).round().long().equal(b.ids)
        assert b.y.equal(b.ids % 10)


def test_processes_share_each_batch_and_their_weights_add_up(samples: Samples) -> None:
    whole = list(samples.batches(1))
    parts = [list(samples.batches(1, rank, 2)) for rank in (0, 1)]
    for b, one, two in zip(whole, *parts, strict=True):
        assert sorted(torch.cat([one.ids, two.ids]).tolist()) == sorted(b.ids.tolist())
        mean = (one.x.mean() * one.weight + two.x.mean() * two.weight) / 2
        torch.testing.assert_close(mean, b.x.mean())


def test_flip_crop_shifts_and_mirrors_but_never_mixes_samples() -> None:
    x = torch.rand(64, 2, 16, 16) + torch.arange(64)[:, None, None, None]
    draw = Draw.of(0, torch.arange(64))
    at = crops(draw, "flip-crop", (16, 16))
    out = cropped(x, at)
    assert out.shape == x.shape
    for i in range(8):
        inside = out[i, 0, 2:-2, 2:-2]
        assert torch.isin(inside, x[i, 0]).all()
    centre = out[:, 0, 8, 8]
    assert len({round(float(v), 6) for v in centre - torch.arange(64)}) > 32
    few = draw[torch.arange(10, 20)]
    assert crops(few, "flip-crop", (16, 16)).equal(at[10:20])
    assert cropped(x[10:20], at[10:20]).equal(out[10:20])


def test_crop_shifts_by_at_most_an_eighth_and_mirrors_nothing() -> None:
    x = torch.arange(1, 1 + 64 * 2 * 256).view(64, 2, 16, 16)
    draw = Draw.of(1, torch.arange(64))
    out, mirrored = (cropped(x, crops(draw, how, (16, 16))) for how in ("crop", "flip-crop"))
    padded = torch.nn.functional.pad(x, (2, 2, 2, 2))
    shifts = set()
    for i in range(64):
        found = [
            (r, c)
            for r in range(5)
            for c in range(5)
            if padded[i, :, r : r + 16, c : c + 16].equal(out[i])
        ]
        assert len(found) == 1
        shifts.add(found[0])
        assert mirrored[i].equal(out[i]) or mirrored[i].equal(out[i].flip(2))
    assert len(shifts) > 15
    flipped = sum(not mirrored[i].equal(out[i]) for i in range(64))
    assert 16 < flipped < 48


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_stay_in_range_and_reach_their_peak(name: str) -> None:
    rates = [factor(name, k, 100) for k in range(100)]
    assert all(0 < r <= 1 for r in rates)
    assert max(rates) > 0.98


def test_plans_that_compute_the_same_have_the_same_key(plan: MakePlan) -> None:
    assert plan(loss="madry").key() == plan(loss=Madry()).key()
    assert plan().key() != plan(seed=1).key()
    assert plan().key() != plan(attack=PGD(steps=3)).key()
    said = plan(loss=flat_loss).describe()["loss"]
    assert said.endswith(":flat_loss")


def moved(model: nn.Module, x: Tensor, y: Tensor, loss: object = None) -> Tensor:
    return x + 1


def flat_loss(model: nn.Module, x: Tensor, y: Tensor, worst: Worst) -> Tensor:
    return model(x).sum()


def test_importing_train_stays_light() -> None:
    code = (
        "import sys, saddlepoint.train;"
        "heavy = {'lightning_fabric', 'rich', 'matplotlib'} & sys.modules.keys();"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
