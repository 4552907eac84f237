"""The curve: distances into accuracies, bands, files, and going on where a run stopped."""

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

import saddlepoint as sp
from saddlepoint.audit import default_nearest
from saddlepoint.audit.curve_figure import draw_curve
from saddlepoint.audit.witness import distance, inspect
from saddlepoint.core.errors import Invalid, Unsupported
from tests.audit.conftest import Subject

NONE = np.zeros(5, dtype=bool)
FOUND = np.array([0.0, 0.1, 0.2, 0.3, np.inf])
REACH = sp.L2(eps=0.6)
FAST = sp.FMN(steps=12)


def test_accuracy_is_the_share_without_a_break_within_the_radius() -> None:
    curve = sp.Curve.of(FOUND, NONE, reach=0.4, points=5)
    np.testing.assert_allclose(curve.eps, [0, 0.1, 0.2, 0.3, 0.4])
    np.testing.assert_allclose(curve.accuracy, [0.8, 0.6, 0.4, 0.2, 0.2])
    assert [curve.at(e).accuracy for e in (0, 0.0999, 0.25)] == [0.8, 0.8, 0.4]
    assert curve.median == pytest.approx(0.2)


def test_rounding_decides_no_step() -> None:
    third = np.array([0.1 + 1e-9, 0.1])
    assert sp.Curve.of(third, NONE[:2], reach=0.3).at(0.1).accuracy == 0.0


def test_intervals_hold_the_accuracy_and_the_band_holds_the_intervals_middle() -> None:
    rng = np.random.default_rng(0)
    curve = sp.Curve.of(rng.uniform(0, 1, 200), np.zeros(200, dtype=bool), reach=1.0)
    assert bool(((curve.low <= curve.accuracy) & (curve.accuracy <= curve.high)).all())
    assert bool(((curve.band_low <= curve.accuracy) & (curve.accuracy <= curve.band_high)).all())
    wide, narrow = curve.band_high - curve.band_low, curve.high - curve.low
    assert bool((wide >= narrow)[10:-10].all())
    assert bool(((curve.band_low >= 0) & (curve.band_high <= 1)).all())


@pytest.mark.slow
def test_the_band_holds_the_whole_curve_as_often_as_it_says() -> None:
    """Uniform distances: the true accuracy at eps is 1 - eps."""
    rng, eps = np.random.default_rng(1), np.linspace(0, 1, 101)
    none = np.zeros(60, dtype=bool)
    runs = [sp.Curve.of(rng.uniform(0, 1, 60), none, 1.0, confidence=0.9) for _ in range(200)]
    inside = [((c.band_low <= 1 - eps) & (1 - eps <= c.band_high)).all() for c in runs]
    assert np.mean(inside) >= 0.9


def test_samples_that_failed_widen_both_ends() -> None:
    failed = np.array([False, False, False, False, True])
    curve, sure = sp.Curve.of(FOUND, failed, 0.4), sp.Curve.of(FOUND, NONE, 0.4)
    np.testing.assert_array_equal(curve.accuracy, sure.accuracy)
    assert bool((curve.low < sure.low + 1e-12).all())
    assert curve.at(0.4).low == 0.0
    assert curve.at(0.4).high == sure.at(0.4).high
    assert bool((curve.band_low <= sure.band_low).all())


def test_beyond_reach_there_is_no_answer() -> None:
    with pytest.raises(Invalid, match="where this run has looked"):
        sp.Curve.of(FOUND, NONE, reach=0.4).at(0.5)


def test_one_run_agrees_with_searches_at_single_radii(subject: Subject) -> None:
    curve = sp.curve(subject.model, (subject.x, subject.y), REACH)
    for eps in (0.1, 0.25, 0.5):
        found = sp.search(sp.PGD(loss="margin"), *subject, sp.L2(eps=eps))
        assert curve.at(eps).accuracy <= found.robust_accuracy + 1e-12
    clean = sp.search(sp.FGSM(), *subject, sp.L2(eps=0.0)).robust_accuracy
    assert curve.at(0).accuracy == pytest.approx(clean)


@pytest.mark.parametrize("threat", [REACH, sp.Quantize(sp.Linf(eps=0.2))], ids=repr)
def test_files_hold_what_the_curve_says(subject: Subject, threat: Any, tmp_path: Path) -> None:  # noqa: ANN401
    data = (subject.x, subject.y)
    curve = sp.curve(subject.model, data, threat, FAST, out=tmp_path / "run", batch_size=25)
    assert curve.folder == tmp_path / "run"
    said = json.loads((tmp_path / "run/curve.json").read_text())
    assert said == curve.document
    assert said["accuracy"] == curve.accuracy.tolist()
    assert sum(said["counts"][k] for k in ("broken", "survived", "error", "not_run")) == 60
    with np.load(tmp_path / "run/distances.npz") as stored:
        np.testing.assert_array_equal(stored["distance"], curve.distance)
    kept = load_file(tmp_path / "run/witnesses.safetensors")
    index, x = kept["index"], subject.x.numpy()
    assert len(index) == said["counts"]["broken"]
    measured = distance(x[index], kept["x_adv"], threat)
    np.testing.assert_array_equal(measured, curve.distance[index])
    assert inspect(x[index], kept["x_adv"], threat, index) == [""] * len(index)
    moved = torch.from_numpy(kept["x_adv"])
    moved = moved.float() / 255 if moved.dtype == torch.uint8 else moved
    wrong = subject.model(moved).argmax(1) != subject.y[torch.from_numpy(index)]
    assert bool(wrong.all())
    assert (tmp_path / "run/curve.png").read_bytes()[:4] == b"\x89PNG"
    assert "<svg" in (tmp_path / "run/curve.svg").read_text()


def test_chunks_and_neighbours_change_nothing(subject: Subject) -> None:
    data = (subject.x.double(), subject.y)
    net = copy.deepcopy(subject.model).double()
    whole = sp.curve(net, data, REACH, FAST)
    parts = sp.curve(net, data, REACH, FAST, batch_size=7)
    few = sp.curve(net, data, REACH, FAST, n=20)
    np.testing.assert_allclose(parts.distance, whole.distance, rtol=1e-6)
    np.testing.assert_allclose(few.distance, whole.distance[:20], rtol=1e-6)


class Stops(torch.nn.Module):
    """Raises as a user's Ctrl-C does, once so many questions are left."""

    left = -1

    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return self.inner(x)


def test_an_interrupted_run_goes_on(subject: Subject, tmp_path: Path) -> None:
    data, out = (subject.x, subject.y), tmp_path / "run"
    whole = sp.curve(subject.model, data, REACH, FAST, batch_size=20)
    net = Stops(subject.model)

    def stop(done: int, *_: int) -> None:
        net.left = 5 if done == 20 else -1  # in the middle of the second chunk

    with pytest.raises(KeyboardInterrupt):
        sp.curve(net, data, REACH, FAST, batch_size=20, out=out, progress=stop)
    finished = (out / "journal/0000.records").read_bytes()
    assert len(finished) > 0
    assert not (out / "curve.json").exists()
    seen: list[tuple[int, int, int]] = []

    def watch(*now: int) -> None:
        seen.append(now)  # type: ignore[arg-type]

    net.left = -1
    again = sp.curve(net, data, REACH, FAST, batch_size=20, out=out, progress=watch)
    assert (out / "journal/0000.records").read_bytes().startswith(finished)
    np.testing.assert_array_equal(again.distance, whole.distance)
    assert [s[:2] for s in seen] == [(0, 60), (20, 60), (40, 60), (60, 60)]


def test_a_folder_with_another_run_is_refused(subject: Subject, tmp_path: Path) -> None:
    data, out = (subject.x, subject.y), tmp_path / "run"
    sp.curve(subject.model, data, REACH, FAST, n=10, out=out)
    with pytest.raises(Invalid, match="another run"):
        sp.curve(subject.model, data, sp.L2(eps=0.5), FAST, n=10, out=out)
    with pytest.raises(Invalid, match="another run"):
        sp.curve(subject.model, data, REACH, sp.FMN(steps=3), n=10, out=out)
    audit = tmp_path / "audit"
    sp.audit(subject.model, data, REACH, (sp.FGSM(),), n=10, out=audit, figures=0)
    with pytest.raises(Invalid, match="out"):
        sp.curve(subject.model, data, REACH, FAST, n=10, out=audit)


class Rolled(torch.nn.Module):
    """The same weights, and answers that code has changed."""

    def __init__(self, inner: torch.nn.Module, shift: int) -> None:
        super().__init__()
        self.inner, self.shift = inner, shift

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.inner(x).roll(self.shift, 1)
        return answer


@pytest.mark.parametrize("done", [20, 60])
def test_answers_of_two_models_do_not_meet(subject: Subject, tmp_path: Path, done: int) -> None:
    data, out = (subject.x, subject.y), tmp_path / "run"

    def stop(now: int, *_: int) -> None:
        if now == done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sp.curve(Rolled(subject.model, 0), data, REACH, FAST, batch_size=20, out=out, progress=stop)
    before = (out / "journal/0000.records").read_bytes()
    with pytest.raises(Invalid, match="gave other scores to the same inputs"):
        sp.curve(Rolled(subject.model, 1), data, REACH, FAST, out=out)
    assert (out / "journal/0000.records").read_bytes() == before
    again = sp.curve(Rolled(subject.model, 0), data, REACH, FAST, batch_size=20, out=out)
    whole = sp.curve(subject.model, data, REACH, FAST, batch_size=20)
    np.testing.assert_array_equal(again.distance, whole.distance)


def test_an_attack_that_raises_is_no_robustness_and_gets_another_chance(
    subject: Subject, tmp_path: Path
) -> None:
    class Fails:
        def __repr__(self) -> str:
            return "Fails()"

        def __call__(self, oracle: Any, draw: Any) -> None:  # noqa: ANN401
            if fails:
                raise KeyError("a bug in the attack")
            FAST(oracle, draw)

    data, out, fails = (subject.x, subject.y), tmp_path / "run", True
    curve = sp.curve(subject.model, data, REACH, Fails(), n=20, out=out)
    right = 20 - curve.document["counts"]["clean_wrong"]
    assert curve.document["counts"]["error"] == right
    assert "a bug in the attack" in curve.document["errors"][0]
    assert curve.at(0.6).low == 0.0
    fails = False
    again = sp.curve(subject.model, data, REACH, Fails(), n=20, out=out)
    assert again.document["counts"]["error"] == 0
    assert again.document["errors"] == []


def test_an_empty_curve_can_be_drawn(subject: Subject) -> None:
    """No break at all: no witness, no median."""
    data = (subject.x[:4], subject.model(subject.x[:4]).argmax(1))
    curve = sp.curve(subject.model, data, sp.L2(eps=1e-4), FAST)
    assert curve.document["distance"]["median"] is None
    assert curve.accuracy.tolist() == [1.0] * 101
    pictures = draw_curve(curve.document)
    assert pictures == draw_curve(curve.document)


@pytest.mark.parametrize(
    ("threat", "options", "match"),
    [
        (sp.L2(eps=torch.tensor([0.1, 0.2])), {}, "one number above 0"),
        (sp.L2(eps=0.0), {}, "one number above 0"),
        (REACH, {"n": 0}, "n = 0"),
        (REACH, {"n": 100}, "at most 60"),
        (REACH, {"confidence": 1}, "confidence"),
        (REACH, {"batch_size": 0}, "batch_size"),
        (REACH, {"seed": -1}, "seed"),
    ],
    ids=str,
)
def test_bad_arguments(subject: Subject, threat: Any, options: Any, match: str) -> None:  # noqa: ANN401
    with pytest.raises(Invalid, match=match):
        sp.curve(subject.model, (subject.x, subject.y), threat, FAST, **options)


def test_an_attack_that_does_not_fit_is_refused(subject: Subject) -> None:
    class Single:
        eps = 0.1

    with pytest.raises(Unsupported):
        sp.curve(subject.model, (subject.x, subject.y), Single(), FAST)  # type: ignore[arg-type]


def test_every_norm_has_a_default() -> None:
    for threat in (sp.Linf(eps=0.1), sp.L2(eps=0.1), sp.L1(eps=0.1), sp.Quantize(sp.L2(eps=0.1))):
        assert callable(default_nearest(threat))


def test_a_finished_run_is_only_read(subject: Subject, tmp_path: Path) -> None:
    data, out = (subject.x, subject.y), tmp_path / "run"
    first = sp.curve(subject.model, data, REACH, FAST, n=10, out=out)
    shutil.copytree(out, tmp_path / "copy")
    again = sp.curve(subject.model, data, REACH, FAST, n=10, out=out)
    np.testing.assert_array_equal(first.distance, again.distance)
    for name in ("distances.npz", "witnesses.safetensors", "curve.svg", "curve.png"):
        assert (out / name).read_bytes() == (tmp_path / "copy" / name).read_bytes()
