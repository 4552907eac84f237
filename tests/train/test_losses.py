"""Objectives against their formulas in numpy, on logits that the tests choose."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from saddlepoint import PGD, Linf, Targets
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Unsupported
from saddlepoint.core.goal import Goal
from saddlepoint.core.loss import Loss
from saddlepoint.train import MART, TRADES, Divergence, Inner, Madry, Natural, RobustLoss
from saddlepoint.train.losses import _Away

Floats = NDArray[np.float64]


def softmax(z: Floats) -> Floats:
    e = np.exp(z - z.max(1, keepdims=True))
    p: Floats = e / e.sum(1, keepdims=True)
    return p


def ce(z: Floats, y: NDArray[np.int64], smoothing: float = 0.0) -> float:
    log_p = np.log(softmax(z))
    hard = -log_p[np.arange(len(y)), y]
    return float(((1 - smoothing) * hard - smoothing * log_p.mean(1)).mean())


def kl(p: Floats, q: Floats) -> Floats:
    out: Floats = (p * (np.log(p) - np.log(q))).sum(1)
    return out


class Logits(nn.Module):
    """Returns its input: the clean half and the moved half are what the test made them."""

    def forward(self, x: Tensor) -> Tensor:
        return x


class To:
    """A worst input that is given."""

    threat, memory, share = Linf(eps=0.1), {}, 1.0

    def __init__(self, x_adv: Tensor) -> None:
        self.x_adv, self.asked = x_adv, []

    def __call__(
        self, model: nn.Module, x: Tensor, y: Tensor | Goal, loss: Loss | str | None = None, /
    ) -> Tensor:
        self.asked.append((y, loss))
        return self.x_adv


@pytest.fixture(params=[2, 5], ids=["2 classes", "5 classes"])
def rows(request: pytest.FixtureRequest) -> tuple[Tensor, Tensor, Tensor]:
    """Clean logits, moved logits, labels; float64."""
    rng = np.random.default_rng(request.param)
    a, b = (torch.from_numpy(rng.normal(size=(7, request.param)) * 2) for _ in range(2))
    return a, b, torch.from_numpy(rng.integers(0, request.param, 7))


Rows = tuple[Tensor, Tensor, Tensor]


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_natural_and_madry(rows: Rows, smoothing: float) -> None:
    a, b, y = rows
    at_x = Natural(smoothing)(Logits(), a, y, To(b))
    at_worst = Madry(smoothing)(Logits(), a, y, To(b))
    assert at_x.item() == pytest.approx(ce(a.numpy(), y.numpy(), smoothing), rel=1e-12)
    assert at_worst.item() == pytest.approx(ce(b.numpy(), y.numpy(), smoothing), rel=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("beta", [1.0, 6.0])
def test_trades(rows: Rows, beta: float, smoothing: float) -> None:
    a, b, y = rows
    loss = TRADES(beta, smoothing)(Logits(), a, y, To(b))
    p, q = softmax(a.numpy()), softmax(b.numpy())
    expected = ce(a.numpy(), y.numpy(), smoothing) + beta * kl(p, q).mean()
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    assert abs(kl(p, q).mean() - kl(q, p).mean()) > 1e-3  # the direction can be seen


@pytest.mark.parametrize("beta", [1.0, 5.0])
def test_mart(rows: Rows, beta: float) -> None:
    a, b, y = rows
    loss = MART(beta)(Logits(), a, y, To(b))
    p, q, row = softmax(a.numpy()), softmax(b.numpy()), np.arange(7)
    others = q.copy()
    others[row, y] = 0
    bce = -np.log(q[row, y]) - np.log(1 - others.max(1))
    expected = (bce + beta * kl(p, q) * (1 - p[row, y])).mean()
    assert loss.item() == pytest.approx(expected, rel=1e-10)


def test_mart_is_finite_where_another_class_is_certain() -> None:
    a = torch.tensor([[0.0, 200.0], [200.0, 0.0]]).requires_grad_()
    loss = MART()(Logits(), a, torch.zeros(2).long(), To(a.detach()))
    loss.backward()
    assert loss.isfinite()
    assert a.grad is not None
    assert a.grad.isfinite().all()


@pytest.mark.parametrize("loss", [TRADES(), TRADES(label_smoothing=0.2), MART()], ids=repr)
def test_gradients_flow_through_both_halves(loss: RobustLoss, rows: Rows) -> None:
    a, b, y = (t.clone() for t in rows)
    a.requires_grad_()
    b.requires_grad_()
    loss(Logits(), a, y, To(b)).backward()
    for leaf in (a, b):
        assert leaf.grad is not None
        assert bool((leaf.grad.abs().sum(1) > 0).all())
        step = torch.zeros_like(leaf)
        step[2, 1] = 1e-6
        with torch.no_grad():
            ends = [
                loss(Logits(), *(a + s * step, y, To(b)))
                if leaf is a
                else loss(Logits(), a, y, To(b + s * step))
                for s in (1, -1)
            ]
        slope = (ends[0] - ends[1]).item() / 2e-6
        assert leaf.grad[2, 1].item() == pytest.approx(slope, rel=1e-5, abs=1e-9)


def test_madry_leaves_the_search_its_own_loss_and_trades_does_not(rows: Rows) -> None:
    a, b, y = rows
    for loss in (Madry(), MART()):
        loss(Logits(), a, y, worst := To(b))
        assert len(worst.asked) == 1
        assert worst.asked[0][0].equal(y)
        assert worst.asked[0][1] is None
    TRADES()(Logits(), a, y, worst := To(b))
    ((goal, climbed),) = worst.asked
    assert climbed == Divergence()
    np.testing.assert_allclose(goal.log_p.exp().numpy(), softmax(a.numpy()), rtol=1e-12)


def test_the_divergence_of_a_sub_batch(rows: Rows) -> None:
    a, b, y = rows
    goal = _Away(y, a.log_softmax(1))
    expected = kl(softmax(a.numpy()), softmax(b.numpy()))
    np.testing.assert_allclose(Divergence()(b, goal).numpy(), expected, rtol=1e-10)
    keep = torch.tensor([True, False, True, True, False, False, True])
    for few in (keep, keep.nonzero()[:, 0]):
        part = goal[few]
        np.testing.assert_allclose(Divergence()(b[few], part).numpy(), expected[keep], rtol=1e-10)
        assert part.margin(b[few]).equal(goal.margin(b)[keep])


def inputs(n: int) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(n)
    return torch.rand(n, 6, generator=rng), torch.arange(n) % 4


def net() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(4)
        return nn.Sequential(
            nn.Linear(6, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(0.5), nn.Linear(12, 4)
        )


class Recorder(nn.Module):
    """Notes in which mode and with which graph the model is asked."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.seen: list[tuple[int, bool, bool]] = []

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.inner(x)
        self.seen.append((len(x), self.training, out.requires_grad))
        return out


def test_trades_holds_the_clean_prediction_in_eval_mode_without_a_graph() -> None:
    model, (x, y) = Recorder(net()), inputs(8)
    TRADES()(model, x, y, Inner(Linf(eps=0.1), PGD(steps=2), keep="last"))
    clean, *search, outer = model.seen
    assert clean == (8, False, False)
    assert search == [(8, False, True)] * 2
    assert outer == (16, True, True)
    assert all(m.training for m in model.modules())


def test_the_attack_of_trades_climbs_the_divergence() -> None:
    net_, (x, y) = net(), inputs(32)
    far: dict[str, Floats] = {}

    class Measuring:
        threat, memory, share = Linf(eps=0.2), {}, 1.0

        def __call__(self, model: nn.Module, x: Tensor, y: Any, loss: Any = None, /) -> Tensor:  # noqa: ANN401
            inner = Inner(self.threat, PGD(steps=10))
            found = {
                "divergence": inner(model, x, y, loss),
                "cross-entropy": inner(model, x, y.label),
                "random": self.threat.apply(x, self.threat.sample(x, Draw.of(0, y.label))),
            }
            still = copy.deepcopy(model).eval()
            with torch.no_grad():
                p = softmax(still(x).double().numpy())
                far.update({k: kl(p, softmax(still(v).double().numpy())) for k, v in found.items()})
            return found["divergence"]

    TRADES()(net_, x, y, Measuring())
    # Each climbs to a peak of its own, which for a few rows is not the highest.
    assert (far["divergence"] >= far["cross-entropy"] - 1e-6).mean() > 0.7
    assert far["divergence"].mean() > 1.2 * far["cross-entropy"].mean()
    assert far["divergence"].mean() > 2 * far["random"].mean()


def test_trades_refuses_an_attack_with_goals_of_its_own() -> None:
    model, (x, y) = net(), inputs(8)
    with pytest.raises(Unsupported, match="clean prediction"):
        TRADES()(model, x, y, Inner(Linf(eps=0.1), Targets(PGD(steps=2), n=2)))
