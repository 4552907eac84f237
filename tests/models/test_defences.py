"""The defences that fell: what each computes, where its alarm goes off, how it is kept."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from saddlepoint.core.errors import BadData, Invalid
from saddlepoint.models import DEFENCES, build, load_model, save_model
from saddlepoint.models.defences import Fitting, Guarded, Specialists, confused, distill
from saddlepoint.models.defences.calibrate import threshold
from saddlepoint.models.defences.squeezing import fewer_bits, median

SHAPE, K, N = (1, 8, 8), 4, 60
OPTIONS: dict[str, dict[str, Any]] = {
    "squeezed": {"net": "mlp", "width": 6, "bits": 2, "median": 3},
    "guarded": {"net": "mlp", "width": 6, "detectors": 2},
    "outlier-class": {"net": "mlp", "width": 6},
    "specialists": {"net": "mlp", "width": 6},
}
SUSPICION: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "squeezed": lambda m, x: m.score(x),
    "guarded": lambda m, x: m.score(x),
    "specialists": lambda m, x: -m.confidence(x),
}


def made(arch: str, **more: Any) -> Any:  # noqa: ANN401
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build(arch, SHAPE, K, {**OPTIONS[arch], **more})
        with torch.no_grad():  # answers that differ between inputs
            for p in model.parameters():
                p.mul_(3)
    return model.eval().requires_grad_(False)


def inputs(n: int = N, seed: int = 1) -> Tensor:
    return torch.rand(n, *SHAPE, generator=torch.Generator().manual_seed(seed))


def test_every_defence_is_tried() -> None:
    assert OPTIONS.keys() == DEFENCES.keys()


@pytest.mark.parametrize("arch", SUSPICION)
def test_the_alarm_goes_off_where_the_score_says(arch: str) -> None:
    model, x = made(arch), inputs()
    model.calibrate(inputs(seed=2), 0.2)
    limit = model.threshold if arch != "specialists" else -model.threshold
    suspicious = SUSPICION[arch](model, x) > limit
    said = model(x).argmax(1)
    assert torch.equal(said == K, suspicious)
    assert 0 < int(suspicious.sum()) < N
    assert float((model(inputs(seed=2)).argmax(1) == K).double().mean()) <= 0.2


@pytest.mark.parametrize("arch", ["squeezed", "specialists"])
def test_a_smooth_copy_answers_bit_for_bit_and_slopes(arch: str) -> None:
    model, copy, x = made(arch), made(arch, smooth=True), inputs(7)
    copy.load_state_dict(model.state_dict())
    assert torch.equal(model(x), copy(x))
    grads = []
    for m in (model, copy):
        leaf = x.clone().requires_grad_()
        (g,) = torch.autograd.grad(m(leaf)[:, :K].square().sum(), leaf)
        grads.append(g)
    assert not torch.allclose(*grads)
    leaf = x.clone().requires_grad_()
    (g,) = torch.autograd.grad(copy(leaf)[:, 0].sum(), leaf)
    assert bool((g.flatten(1).abs().amax(1) > 0).all())


def test_squeezers_against_slow_ones() -> None:
    x = inputs(2)
    for bits in (1, 3, 8):
        levels = 2**bits - 1
        slow = [round(v * levels) / levels for v in x.flatten().tolist()]
        torch.testing.assert_close(fewer_bits(x, bits).flatten(), torch.tensor(slow))
    got = median(x, 3)
    for i, j in ((1, 1), (4, 6), (3, 2)):
        window = x[0, 0, i - 1 : i + 2, j - 1 : j + 2].flatten().sort().values
        assert got[0, 0, i, j] == window[4]
    assert median(x, 2)[0, 0, 3, 3] == x[0, 0, 2:4, 2:4].flatten().sort().values[2]


def test_specialists_against_a_slow_vote() -> None:
    model, x = made("specialists"), inputs(20)
    rng = torch.Generator().manual_seed(3)
    knows = torch.rand(2 * K + 1, K, generator=rng) < 0.6
    knows[-1] = True
    knows[knows.sum(1) < 2] = True
    model.knows.copy_(knows)
    first = model.nets[0].state_dict()
    for net in model.nets[1:]:  # relatives, that often agree
        net.load_state_dict({k: first[k] + 0.2 * v for k, v in net.state_dict().items()})
    agreed = 0
    for i in range(len(x)):
        p = []
        for net, mask in zip(model.nets, knows, strict=True):
            z = net(x[i : i + 1])[0]
            p.append(torch.where(mask, z, -torch.inf).softmax(0))
        votes = [int(q.argmax()) for q in p]
        heard = list(range(2 * K + 1))
        for c in range(K):
            able = [m for m in heard if knows[m, c]]
            if all(votes[m] == c for m in able):
                heard, agreed = able, agreed + 1
                break
        mean = torch.stack([p[m] for m in heard]).mean(0)
        torch.testing.assert_close(model.confidence(x[i : i + 1])[0], mean.max())
        torch.testing.assert_close(model(x[i : i + 1])[0, :K].exp(), mean.clamp_min(1e-12))
    assert 0 < agreed < len(x)


def test_confusions_name_the_subsets() -> None:
    counts = torch.tensor([[50, 9, 1, 0], [4, 50, 4, 4], [0, 0, 50, 0], [9, 0, 0, 5]])
    knows = confused(counts)
    assert knows.shape == (9, 4)
    assert knows[0].tolist() == [True, True, False, False]
    assert knows[1].all()
    assert knows[2].all()  # confused with nothing: one class alone would have nothing to say
    assert knows[4].tolist() == [False, False, True, True]
    assert knows[8].all()
    assert (knows.sum(1) >= 2).all()


def test_a_threshold_is_passed_by_a_share_at_most() -> None:
    values = torch.rand(101, generator=torch.Generator().manual_seed(0))
    for share in (0.0, 0.05, 0.3):
        limit = threshold(values, share)
        assert float((values > limit).double().mean()) <= share
    assert threshold(values, 0.0) == float(values.max())
    for scores, share in ((values, 1.0), (values * torch.nan, 0.1), (values[:0], 0.1)):
        with pytest.raises(Invalid):
            threshold(scores, share)


def line() -> tuple[Tensor, Tensor]:
    x = torch.linspace(-1, 1, 128)[:, None]
    return x, (x[:, 0] > 0).long()


def test_distillation_stretches_the_logits_until_the_softmax_is_flat() -> None:
    x, y = line()

    def make() -> nn.Module:
        return nn.Sequential(nn.Linear(1, 16), nn.ReLU(), nn.Linear(16, 2))

    with torch.random.fork_rng():
        torch.manual_seed(0)
        hot = distill(make, x, y, 50.0, Fitting(epochs=20, batch_size=64, lr=0.1))
        cold = distill(make, x, y, 1.0, Fitting(epochs=20, batch_size=64, lr=0.1))
    assert (hot(x).argmax(1) == y).double().mean() > 0.95
    gap = [float((m(x)[:, 1] - m(x)[:, 0]).abs().mean()) for m in (hot, cold)]
    assert gap[0] > 3 * gap[1]
    with pytest.raises(Invalid, match="temperature"):
        distill(make, x, y, 0.5)


def test_training_repeats_itself_and_leaves_the_seed_alone() -> None:
    x, y = line()
    start = nn.Linear(1, 2)
    state = {k: v.clone() for k, v in start.state_dict().items()}
    before = torch.get_rng_state()
    nets = []
    for _ in range(2):
        start.load_state_dict(state)
        fitted = Fitting(epochs=2).classes(start, x, y)
        nets.append({k: v.clone() for k, v in fitted.state_dict().items()})
    assert all(torch.equal(nets[0][k], nets[1][k]) for k in nets[0])
    assert torch.equal(before, torch.get_rng_state())
    for bad in ({"epochs": 0}, {"batch_size": 0}, {"lr": 0.0}):
        with pytest.raises(Invalid):
            Fitting(**bad)  # type: ignore[arg-type]


@pytest.mark.parametrize("arch", OPTIONS)
def test_a_defence_is_kept_and_loaded(arch: str, tmp_path: Path) -> None:
    model, x = made(arch), inputs(5)
    if hasattr(model, "calibrate"):
        model.calibrate(inputs(seed=2), 0.1)
    save_model(model, tmp_path / "m", arch, SHAPE, K, OPTIONS[arch])
    loaded = load_model(tmp_path / "m", shape=SHAPE, classes=K)
    assert (loaded.arch, loaded.classes) == (arch, K)
    assert getattr(loaded.model, "rejects", False) is True
    assert torch.equal(loaded.model(x), model(x))
    with pytest.raises(Invalid, match="do not say what is inside the defence"):
        load_model(tmp_path / "m/model.safetensors", arch)


@pytest.mark.parametrize(
    ("arch", "options", "said"),
    [
        ("squeezed", {"net": "os:system"}, "the net inside the defence"),
        ("squeezed", {"net": "conv-smal"}, "did you mean conv-small"),
        ("squeezed", {"bits": 9}, "whole number in 0 … 8"),
        ("squeezed", {"bits": 0, "median": 0}, "at least 1 where there is no median"),
        ("squeezed", {"smooth": 1}, "true or false"),
        ("guarded", {"detectors": 0}, "detectors"),
        ("guarded", {"widht": 3}, "did you mean width"),
        ("specialists", {"width": "wide"}, "a whole number for specialists"),
    ],
)
def test_options_that_cannot_be(arch: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        build(arch, SHAPE, K, {"net": "mlp", **options})


def test_parts_that_cannot_be() -> None:
    with pytest.raises(Invalid, match="9 for 4 classes"):
        Specialists([nn.Linear(2, 4)], 4)
    with pytest.raises(Invalid, match="at least one net"):
        Guarded(nn.Linear(2, 4), [])
    with pytest.raises(Invalid, match=r"\(K, K\)"):
        confused(torch.ones(3, 4))


def test_a_defence_of_another_size_is_refused(tmp_path: Path) -> None:
    save_model(made("guarded"), tmp_path, "guarded", SHAPE, K, {"net": "mlp", "width": 7})
    with pytest.raises(BadData, match="does not fit guarded"):
        load_model(tmp_path)
