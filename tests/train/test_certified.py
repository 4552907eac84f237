"""Certified objectives where their value is known, and runs that are kept by what they prove."""

import csv
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from saddlepoint import L2, Linf
from saddlepoint.core.errors import Invalid, Unsupported
from saddlepoint.core.threat import ThreatModel
from saddlepoint.models import conv_small, resnet9
from saddlepoint.train import AWP, CROWNIBP, IBP, MTLIBP, SABR, Madry, RobustLoss, train, write_card
from saddlepoint.train.bounded import certified, crown_ibp_rows, ibp_rows, live, worst_ce
from saddlepoint.train.certified import small_box
from saddlepoint.verify.interval import Interval
from tests.train.kit import Digits, MakeNet, MakePlan

ALL = [IBP(), CROWNIBP(), SABR(), MTLIBP()]


class At:
    """A search that finds a given point, ``share`` of the ramp done."""

    def __init__(
        self, threat: ThreatModel, point: Tensor | None = None, share: float = 1.0
    ) -> None:
        self.threat, self.point, self.share = threat, point, share
        self.memory: dict[str, Any] = {}

    def __call__(self, model: nn.Module, x: Tensor, y: Any, loss: Any = None, /) -> Tensor:  # noqa: ANN401
        return x if self.point is None else self.point


def made(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(4)
        return make().double().eval()


def linear() -> nn.Module:
    return made(lambda: nn.Linear(4, 3))


def deep() -> nn.Module:
    return made(
        lambda: nn.Sequential(
            nn.Linear(4, 12), nn.ReLU(), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 3)
        )
    )


def rows(n: int = 6) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    return torch.rand(n, 4, generator=generator, dtype=torch.float64), torch.arange(n) % 3


def corners(threat: Linf, x: Tensor) -> Tensor:
    """(16, B, 4) every corner of the boxes around x."""
    low, high = threat.hull(x)
    ends = torch.stack([low, high])
    choices = itertools.product((0, 1), repeat=4)
    return torch.stack(
        [torch.stack([ends[c, :, i] for i, c in enumerate(cs)], 1) for cs in choices]
    )


def robust_ce(model: nn.Module, threat: Linf, x: Tensor, y: Tensor) -> Tensor:
    """CE of the logits whose every margin is the largest over the corners."""
    z = torch.stack([model(corner) for corner in corners(threat, x)])
    margin = (z - z.gather(2, y.expand(len(z), -1)[..., None])).amax(0)
    return functional.cross_entropy(margin, y)


@pytest.mark.parametrize("loss", [IBP(kappa=0.0), CROWNIBP(kappa=0.0, beta=1.0)], ids=str)
def test_of_a_linear_net_the_bound_is_the_worst_case(loss: RobustLoss) -> None:
    x, y = rows()
    threat, net = Linf(eps=0.3), linear()
    assert ((x < 0.3) | (x > 0.7)).any()  # some boxes are cut by the range of inputs
    value = loss(net, x, y, At(threat))
    assert value.item() == pytest.approx(robust_ce(net, threat, x, y).item(), rel=1e-12)


def test_crown_ibp_sees_through_two_linear_layers_and_intervals_do_not() -> None:
    net = made(lambda: nn.Sequential(nn.Linear(4, 9), nn.Linear(9, 3)))
    (x, y), threat = rows(), Linf(eps=0.2)
    exact = robust_ce(net, threat, x, y).item()
    crown = CROWNIBP(kappa=0.0, beta=1.0)(net, x, y, At(threat)).item()
    assert crown == pytest.approx(exact, rel=1e-12)
    assert IBP(kappa=0.0)(net, x, y, At(threat)).item() > exact + 0.01


@pytest.mark.parametrize("eps", [0.01, 0.1, 0.5])
def test_both_bounds_hold_and_the_backward_one_is_tighter_while_the_radius_is_small(
    eps: float,
) -> None:
    (x, y), net, threat = rows(), deep(), Linf(eps=eps)
    within = Interval(*threat.hull(x))
    backward, forward = crown_ibp_rows(live(net, (4,)), within, y)
    torch.testing.assert_close(forward, ibp_rows(live(net, (4,)), within, y))
    share = torch.rand(200, *x.shape, dtype=x.dtype)
    points = torch.cat([corners(threat, x), within.low + share * within.width])
    z = torch.stack([net(p) for p in points])
    margin = z - z.gather(2, y.expand(len(z), -1)[..., None])
    others = torch.stack([margin[:, i, torch.arange(3) != y[i]].amax(0) for i in range(len(y))])
    assert (backward >= others - 1e-12).all()
    assert (forward >= others - 1e-12).all()
    if eps == 0.01:
        assert (backward <= forward + 1e-12).all()
        assert (backward < forward - 1e-3).any()


@pytest.mark.parametrize(("share", "k"), [(0.0, 1.0), (0.5, 0.65), (1.0, 0.3)])
@pytest.mark.parametrize("kind", [IBP, CROWNIBP, SABR], ids=lambda k: k.__name__)
def test_the_clean_part_falls_with_the_ramp(kind: Any, share: float, k: float) -> None:  # noqa: ANN401
    (x, y), net, threat = rows(), linear(), Linf(eps=0.1)
    whole = {"ratio": 1.0} if kind is SABR else {}
    value = kind(kappa=0.3, **whole)(net, x, y, At(threat, share=share))
    clean = functional.cross_entropy(net(x), y)
    expected = k * clean + (1 - k) * robust_ce(net, threat, x, y)
    assert value.item() == pytest.approx(expected.item(), rel=1e-12)


def test_the_backward_part_falls_with_the_ramp() -> None:
    (x, y), net, threat = rows(), deep(), Linf(eps=0.1)
    backward, forward = crown_ibp_rows(live(net, (4,)), Interval(*threat.hull(x)), y)
    at = [
        CROWNIBP(kappa=1.0, beta=0.2)(net, x, y, At(threat, share=0.5)),
        CROWNIBP(kappa=0.0, beta=0.2)(net, x, y, At(threat, share=1.0)),
        CROWNIBP(kappa=0.0, beta=0.0)(net, x, y, At(threat, share=1.0)),
    ]
    expected = [
        functional.cross_entropy(net(x), y),
        worst_ce(0.2 * backward + 0.8 * forward),
        worst_ce(forward),
    ]
    for a, b in zip(at, expected, strict=True):
        assert a.item() == pytest.approx(b.item(), rel=1e-12)


def test_a_small_box_of_full_size_is_intervals_and_one_of_no_size_is_the_point() -> None:
    (x, y), net, threat = rows(), deep(), Linf(eps=0.2)
    low, high = threat.hull(x)
    x_adv = torch.where(torch.rand(x.shape) > 0.5, low, high)
    worst = At(threat, x_adv)
    assert SABR(ratio=1.0)(net, x, y, worst).item() == pytest.approx(
        IBP(kappa=0.0)(net, x, y, worst).item(), rel=1e-12
    )
    assert SABR(ratio=0.0)(net, x, y, worst).item() == pytest.approx(
        Madry()(net, x, y, worst).item(), rel=1e-12
    )
    values = [SABR(ratio=r)(net, x, y, worst).item() for r in (0.2, 0.5, 0.8, 1.0)]
    assert values == sorted(values)


@pytest.mark.parametrize("ratio", [0.1, 0.4, 0.9])
def test_a_small_box_stays_inside_and_touches_the_point_s_side(ratio: float) -> None:
    x, _ = rows(40)
    whole = Interval(*Linf(eps=0.3).hull(x))
    point = torch.where(torch.rand(x.shape) > 0.5, whole.low, whole.high)
    small = small_box(whole, point, ratio)
    assert (small.low >= whole.low - 1e-12).all()
    assert (small.high <= whole.high + 1e-12).all()
    torch.testing.assert_close(small.width, ratio * whole.width)
    reached = torch.where(point == whole.low, small.low, small.high)
    torch.testing.assert_close(reached, point)


@pytest.mark.parametrize("alpha", [0.0, 0.25, 1.0])
def test_the_tasks_are_mixed_by_alpha(alpha: float) -> None:
    (x, y), net, threat = rows(), deep(), Linf(eps=0.2)
    worst = At(threat, threat.hull(x)[1])
    searched, sure = Madry()(net, x, y, worst), IBP(kappa=0.0)(net, x, y, worst)
    value = MTLIBP(alpha=alpha)(net, x, y, worst)
    assert value.item() == pytest.approx(((1 - alpha) * searched + alpha * sure).item(), rel=1e-12)


# -- the network that is bounded -------------------------------------------------------------------


@pytest.mark.parametrize("loss", ALL, ids=str)
def test_one_trace_follows_the_weights_as_they_learn(loss: RobustLoss) -> None:
    (x, y), net, threat = rows(), deep(), Linf(eps=0.1)
    worst = At(threat, threat.hull(x)[0], share=0.5)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    values: list[float] = []
    for _ in range(3):
        value = loss(net, x, y, worst)
        assert value.item() == pytest.approx(loss(net, x, y, At(threat, worst.point, 0.5)).item())
        optimizer.zero_grad()
        value.backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())
        optimizer.step()
        values.append(value.item())
    assert values == sorted(values, reverse=True)
    assert len(worst.memory) == 1


def test_a_trace_leaves_weights_statistics_and_mode_as_they_were() -> None:
    net = resnet9((3, 8, 8), 10, width=4).train()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    live(net, (3, 8, 8))
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert all(m.training for m in net.modules())


def test_weights_computed_from_weights_are_refused() -> None:
    net = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 5)), nn.Linear(5, 3))
    with pytest.raises(Unsupported, match="weights from other weights"):
        live(net, (4,))


def test_batch_norm_is_bounded_by_the_statistics_that_the_clean_pass_updates() -> None:
    (x, y), threat = rows(30), Linf(eps=0.1)
    net = made(
        lambda: nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3))
    )
    net.train()
    worst = At(threat)
    first = IBP(kappa=0.0)(net, x, y, worst).item()
    assert not torch.equal(net[1].running_mean, torch.zeros(6, dtype=x.dtype))
    for _ in range(50):
        last = IBP(kappa=0.0)(net, x, y, worst).item()
    within = Interval(*threat.hull(x))
    assert last == pytest.approx(worst_ce(ibp_rows(live(net, (4,)), within, y)).item(), rel=1e-6)
    assert last != pytest.approx(first, rel=1e-3)


def test_low_precision_does_not_reach_the_bounds() -> None:
    net = conv_small((1, 8, 8), stem=0.1)
    x, y, threat = torch.rand(5, 1, 8, 8), torch.arange(5), Linf(eps=0.1)
    alone = IBP(kappa=0.0)(net, x, y, At(threat))
    with torch.autocast("cpu", torch.bfloat16):
        within = IBP(kappa=0.0)(net, x, y, At(threat))
    assert within.dtype == torch.float32
    assert torch.equal(alone, within)


def test_certified_is_what_bounds_prove(net: MakeNet, digits: Digits) -> None:
    *_, x, y = digits
    linear = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    threat = Linf(eps=0.01)
    low, high = threat.hull(x)
    weight, bias = linear[1].weight.detach(), linear[1].bias.detach()
    difference = weight[None] - weight[y][:, None]
    c, r = ((high + low) / 2).flatten(1), ((high - low) / 2).flatten(1)
    most = (difference @ c[..., None] + difference.abs() @ r[..., None])[..., 0]
    most += bias - bias[y][:, None]
    most[torch.arange(len(y)), y] = -torch.inf
    proved = certified(linear, x, y, threat)
    assert 0 < int(proved.sum()) < len(y)
    assert torch.equal(proved, most.amax(1) < 0)


# -- what cannot be --------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ALL, ids=str)
def test_a_set_that_is_no_box_is_refused_in_words(plan: MakePlan, loss: RobustLoss) -> None:
    with pytest.raises(Unsupported, match="Train within Linf"):
        plan(loss=loss, threat=L2(eps=0.5))


def test_awp_refuses_bounds() -> None:
    with pytest.raises(Invalid, match="not bounds"):
        AWP(IBP())


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: IBP(kappa=1.1), "kappa"),
        (lambda: CROWNIBP(beta=-0.1), "beta"),
        (lambda: CROWNIBP(kappa=True), "kappa"),
        (lambda: SABR(ratio=float("nan")), "ratio"),
        (lambda: MTLIBP(alpha=2), "alpha"),
    ],
)
def test_shares_are_checked(make: Callable[[], RobustLoss], name: str) -> None:
    with pytest.raises(Invalid, match=rf"{name} = .*\[0, 1\]"):
        make()


def test_a_model_without_bounds_is_refused_before_any_work(
    plan: MakePlan, digits: Digits, tmp_path: Path
) -> None:
    x, y, *_ = digits

    class Sorted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last = nn.Linear(64, 10)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.last(x.flatten(1).sort(1).values)
            return out

    with pytest.raises(Unsupported, match="sort"):
        train(plan(loss="ibp"), Sorted(), x, y, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


# -- runs ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["ibp", "crownibp", "sabr", "mtlibp"])
def test_a_run_is_kept_by_what_it_proves(
    plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path, loss: str
) -> None:
    x, y, *_ = digits
    p = plan(loss=loss, threat=Linf(eps=0.02), eps_ramp=0.5, ema=0.9, lr=2e-2, held_out=200)
    trained = train(p, net(), x, y, tmp_path, progress=False)
    shares = [e.certified for e in trained.history]
    assert None not in shares
    assert trained.best.certified == max(s for s in shares if s is not None) > 0.2
    assert all(e.certified <= e.robust <= e.clean for e in trained.history)  # type: ignore[operator]
    asks = loss in ("sabr", "mtlibp")
    assert all((e.own is not None) == asks for e in trained.history)
    with (tmp_path / "history.csv").open() as lines:
        assert [float(row["certified"]) for row in csv.DictReader(lines)] == shares
    text, page = (path.read_text() for path in write_card(tmp_path))
    assert "Certified, at least" in page
    assert "Interval bounds certify" in text
    assert ("| training attack | none |" in text) != asks


def test_other_objectives_certify_nothing(
    plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path
) -> None:
    x, y, *_ = digits
    trained = train(plan(epochs=1), net(), x, y, tmp_path, progress=False)
    assert trained.best.certified is None
    assert json.loads((tmp_path / "model.json").read_text())["history"][0]["certified"] is None
    assert not any("ertif" in path.read_text() for path in write_card(tmp_path))


@pytest.mark.slow
def test_digits_are_certified(digits: Digits, plan: MakePlan, tmp_path: Path) -> None:
    x, y, x_test, y_test = digits
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = conv_small((1, 8, 8), 10)
    threat = Linf(eps=0.05)
    p = plan(
        arch="conv-small", loss=IBP(kappa=0.3), threat=threat, eps_ramp=0.5,
        epochs=30, batch_size=64, lr=1e-2, schedule="cosine", ema=0.99,
    )  # fmt: skip
    trained = train(p, net, x, y, tmp_path, progress=False)
    proved = certified(trained.model, x_test, y_test, threat)
    assert int(proved.sum()) / len(proved) > 0.7  # measured: 0.798, in 7 seconds
