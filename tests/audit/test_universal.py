"""One perturbation for many samples: known optima, resuming, rates, files, refusals, replay."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from torch import Tensor, nn

from saddlepoint import L2, Linf, Patch, Quantize, RotateTranslate, Universal, load_data, universal
from saddlepoint.audit.shared import Rate, Shared
from saddlepoint.audit.stats import clopper_pearson
from saddlepoint.audit.universal_replay import Claimed, replay_universal
from saddlepoint.core.errors import BadData, Invalid, Unsupported
from tests.audit.conftest import Subject

QUICK = Universal(epochs=2, batch_size=64)


class Half(nn.Module):
    """Class 1 where a linear score is positive: with labels 0 the best shared u is known."""

    def __init__(self) -> None:
        super().__init__()
        rng = torch.Generator().manual_seed(0)
        w = torch.randn(1, 4, 5, generator=rng)
        self.w = nn.Parameter(w * w.abs())

    def forward(self, x: Tensor) -> Tensor:
        score = (x * self.w).flatten(1).sum(1)
        return torch.stack([score * 0, score], 1)


def middling(n: int, seed: int) -> tuple[Tensor, Tensor]:
    x = torch.rand(n, 1, 4, 5, generator=torch.Generator().manual_seed(seed))
    return x * 0.4 + 0.3, torch.zeros(n, dtype=torch.int64)


@pytest.mark.parametrize("loss", [None, "margin"])
def test_the_shared_optimum_of_a_linear_model_is_reached(loss: str | None) -> None:
    """Without the input range in the way it is that of each sample."""
    net, fit, test = Half(), middling(100, 1), middling(20, 2)
    how = Universal(epochs=8, batch_size=32, loss=loss, clip=1e9)
    w = net.w.detach()
    for threat, best in (
        (Linf(eps=0.1), 0.1 * w.sign()),
        (L2(eps=0.2), 0.2 * w / w.norm()),
        (Patch(size=(2, 3), at=(1, 1)), (w[:, 1:3, 1:4] > 0).float()),
    ):
        u = universal(net, fit, test, threat, how).u
        weights = w[:, 1:3, 1:4] if isinstance(threat, Patch) else w
        got, most = float((u * weights).sum()), float((best * weights).sum())
        assert got >= 0.99 * most - 0.01 * abs(most)
        assert got <= most + 1e-5


def test_samples_that_are_lost_already_pull_no_more() -> None:
    """Three of four pull towards -w, but lie far beyond the clip; the fourth pulls towards w."""
    net = Half()
    w = net.w.detach()
    low = 0.5 - 0.4 * w.sign()
    x, y = torch.cat([low] * 4).reshape(4, 1, 4, 5), torch.tensor([1, 1, 1, 0])
    assert float(net(x)[0, 1].detach()) < -2  # so a label 1 is lost, a label 0 is not
    how = Universal(epochs=20, loss="margin", clip=1.0)
    u = universal(net, (x, y), middling(4, 2), Linf(eps=0.1), how).u
    torch.testing.assert_close(u, 0.1 * w.sign(), atol=0.01, rtol=0)


def test_a_shared_change_is_not_cut_to_the_range_of_any_sample() -> None:
    net, (x, y) = Half(), middling(40, 1)
    u = universal(net, (x * 0, y), middling(9, 2), Linf(eps=0.1), Universal(9, 8)).u
    torch.testing.assert_close(u, 0.1 * net.w.detach().sign(), atol=0.01, rtol=0)


def test_one_patch_works_at_places_it_was_not_fitted_at(subject: Subject) -> None:
    """Random places are drawn anew each epoch, and measured at others."""
    digits = load_data("digits")
    found = universal(
        subject.model,
        digits.split("train"),
        digits.split("test"),
        Patch(size=4, at="random"),
        QUICK,
        fit_n=400,
        n=200,
    )
    assert found.u.shape == (1, 4, 4)
    assert found.fooling.low > found.control.share


def digits_run(subject: Subject, out: Path | None = None, **more: Any) -> Shared:  # noqa: ANN401
    digits = load_data("digits")
    words: dict[str, Any] = {"fit_n": 200, "n": 150, **more}
    threat = words.pop("threat", Linf(eps=0.2))
    how = words.pop("how", QUICK)
    splits = digits.split("train"), digits.split("test")
    return universal(subject.model, *splits, threat, how, out=out, **words)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.audit.conftest import fitted

    folder = tmp_path_factory.mktemp("universal") / "run"
    digits_run(fitted(), folder)
    return folder


def test_a_target_is_reached_more_often_than_by_chance(subject: Subject) -> None:
    found = digits_run(subject, target=3, threat=Patch(size=5, at=(1, 1)))
    others = int((found.table["label"] != 3).sum())
    assert found.reached.of == others
    by_chance = (found.table["control"][found.table["label"] != 3] == 3).mean()
    assert found.reached.share > by_chance + 0.2


def test_rates_are_those_of_the_model_asked_sample_by_sample(subject: Subject, done: Path) -> None:
    found = Claimed.load(done)
    u = found.found.u
    x, y = load_data("digits").split("test").batch(torch.arange(150))
    with torch.no_grad():
        clean = torch.cat([subject.model(x[i : i + 1]) for i in range(150)]).argmax(1)
        after = torch.cat(
            [subject.model((x[i : i + 1] + u).clamp(0, 1)) for i in range(150)]
        ).argmax(1)
    count = int((clean != after).sum())
    document = found.document
    assert document["fooling"]["count"] == count
    assert document["fooling"]["interval"] == list(clopper_pearson(count, 150))
    assert document["accuracy"]["count"] == int((after == y).sum())
    assert document["fooling"]["interval"][0] > document["control"]["share"]
    assert float(u.abs().max()) <= 0.2 + 1e-6


def test_answers_that_are_not_finite_fool_nobody() -> None:
    table = {
        "label": np.array([0, 1, 1]),
        "clean": np.array([0, 1, -1]),
        "prediction": np.array([-1, 0, 0]),
        "control": np.array([0, 1, 1]),
    }
    found = Shared(torch.zeros(1), table)
    assert found.fooling.count == 1
    assert found.accuracy.count == 0
    assert Rate.over(np.empty(0, bool), 0.95).as_json()["share"] is None


def test_a_killed_run_goes_on_to_the_same_bytes(
    subject: Subject, done: Path, tmp_path: Path
) -> None:
    calls = []

    def dies(stage: str, done: int, total: int, count: int) -> None:
        calls.append((stage, done))
        if (stage, done) == ("fit", 1):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        digits_run(subject, tmp_path / "run", progress=dies)
    epochs: list[int] = []
    from saddlepoint.audit.universal_fit import Fit

    usual = Fit.epoch

    def counted(self: Fit, number: int, before: Any) -> Any:  # noqa: ANN401
        epochs.append(number)
        return usual(self, number, before)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Fit, "epoch", counted)
        digits_run(subject, tmp_path / "run")
        assert epochs == [1]
        digits_run(subject, tmp_path / "run")
        assert epochs == [1]
    for name in ("universal.safetensors", "universal.npz", "universal.png"):
        assert (tmp_path / "run" / name).read_bytes() == (done / name).read_bytes()
    with pytest.raises(Invalid, match="out"):
        digits_run(subject, tmp_path / "run", seed=1)


def test_chunks_do_not_matter(
    subject: Subject, done: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib import import_module

    monkeypatch.setattr(import_module("saddlepoint.audit.universal"), "CHUNK", 7)
    table = digits_run(subject).table
    with np.load(done / "universal.npz") as stored:
        assert all(np.array_equal(stored[k], table[k]) for k in stored.files)


@pytest.mark.parametrize(
    "threat",
    [
        Linf(eps=0.2),
        L2(eps=1.0),
        Quantize(Linf(eps=8 / 255)),
        Patch(size=3, at="random"),
        Patch(size=3, at=(2, 2)),
        Linf(eps=0.2) | RotateTranslate(degrees=20, pixels=1),
        RotateTranslate(degrees=20, pixels=1) >> Linf(eps=0.1),
    ],
    ids=repr,
)
def test_replay_holds(subject: Subject, threat: Any, tmp_path: Path) -> None:  # noqa: ANN401
    digits_run(subject, tmp_path / "run", threat=threat, n=60, how=Universal(epochs=1))
    samples = load_data("digits").split("test")
    result = replay_universal(Claimed.load(tmp_path / "run"), subject.model, samples, threat)
    assert (result.checked, result.failed, result.same_model) == (60, {}, True)


def test_replay_sees_another_perturbation_another_model_and_another_claim(
    subject: Subject, done: Path, tmp_path: Path
) -> None:
    folder, samples = tmp_path / "run", load_data("digits").split("test")
    shutil.copytree(done, folder)
    u = load_file(folder / "universal.safetensors")["u"]
    save_file({"u": u * 1.5}, folder / "universal.safetensors")
    threat = Linf(eps=0.2)
    result = replay_universal(Claimed.load(folder), subject.model, samples, threat)
    assert "from the one that all share" in result.failed[0]
    save_file({"u": u}, folder / "universal.safetensors")
    other = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    result = replay_universal(Claimed.load(folder), other, samples, threat)
    assert not result.same_model
    assert "answers otherwise" in " ".join(result.failed.values())
    with pytest.raises(BadData, match="not the samples"):
        replay_universal(Claimed.load(folder), other, load_data("digits").split("train"), threat)
    document = json.loads((folder / "universal.json").read_text())
    document["fooling"]["count"] += 1
    (folder / "universal.json").write_text(json.dumps(document))
    with pytest.raises(BadData, match="differ in fooling"):
        Claimed.load(folder)


def test_what_cannot_be_is_refused(subject: Subject, tmp_path: Path) -> None:
    data = subject.x, subject.y
    for arguments, kind, said in (
        ({"threat": Patch(size=3)}, Unsupported, "another place for each input"),
        ({"threat": Linf(eps=torch.full((150,), 0.1))}, Unsupported, "one size"),
        ({"threat": Patch(size=9, at=(0, 0))}, Invalid, "<9 x 9>"),
        ({"target": 10}, Invalid, "target = 10: must be a class index in 0 … 9"),
        ({"fit_n": 0}, Invalid, "fit_n"),
        ({"n": 10**6}, Invalid, "n = "),
    ):
        with pytest.raises(kind, match=said):
            digits_run(subject, tmp_path / "run", **arguments)
        assert not (tmp_path / "run").exists()
    with pytest.raises(Invalid, match="other samples"):
        universal(subject.model, data, data, Linf(eps=0.1))
    with pytest.raises(Unsupported, match="belong to this data"):
        universal(nn.Linear(3, 2), data, (subject.x[:9], subject.y[:9]), Linf(eps=0.1))
    for wrong in ({"epochs": 0}, {"reach": 0}, {"clip": float("nan")}, {"momentum": -1}):
        with pytest.raises(Invalid):
            Universal(**wrong)


@pytest.mark.parametrize("column", ["clean", "label"])
def test_replay_sees_other_answers_to_clean_samples_and_other_labels(
    subject: Subject, done: Path, tmp_path: Path, column: str
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(done, folder)
    with np.load(folder / "universal.npz") as stored:
        table = {k: stored[k] for k in stored.files}
    table[column] = (table["prediction"] + 1) % 10
    np.savez(folder / "universal.npz", **table)
    document = json.loads((folder / "universal.json").read_text())
    for name in ("fooling", "accuracy", "clean_accuracy"):
        document[name] = getattr(Shared(torch.zeros(1), table), name).as_json()
    (folder / "universal.json").write_text(json.dumps(document))
    samples = load_data("digits").split("test")
    failed = replay_universal(Claimed.load(folder), subject.model, samples, Linf(eps=0.2)).failed
    words = {"clean": "the model answers otherwise to the sample itself", "label": "another label"}
    assert words[column] in " ".join(failed.values())
