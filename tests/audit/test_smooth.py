"""Certified accuracy over a data set: the call, its numbers, its files and its refusals."""

import json
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from saddlepoint import Smoothed, Smoothing, smooth
from saddlepoint.audit.smooth_figure import draw_smooth
from saddlepoint.audit.stats import clopper_pearson
from saddlepoint.core.errors import BadData, Invalid, Unsupported
from tests.audit.conftest import Subject

SMOOTHING = Smoothing(sigma=0.1, n=200)


def made(radius: list[float], right: list[bool], alpha: float = 0.001) -> Smoothed:
    prediction = np.where(np.array(radius) > 0, np.array(right, dtype=int), -1)
    table = {"label": np.ones(len(radius), dtype=int), "prediction": prediction}
    return Smoothed({**table, "radius": np.array(radius)}, Smoothing(0.5, alpha=alpha))


def test_accuracy_counts_right_and_certified_samples_of_all() -> None:
    found = made([0.0, 0.2, 0.2, 0.5, 0.9], [True, True, False, True, True])
    assert [found.at(e).accuracy for e in (0, 0.1, 0.2, 0.5, 0.9)] == [0.6, 0.6, 0.4, 0.2, 0.0]
    assert (found.at(0.3).low, found.at(0.3).high) == clopper_pearson(2, 5)
    assert found.abstained == 0.2
    with pytest.raises(Invalid, match=r"eps = -0\.1"):
        found.at(-0.1)


def test_the_bound_for_the_population_gives_alpha_away() -> None:
    certain = made([1.0] * 50, [True] * 50, alpha=0.01)
    assert certain.at_least(0.5) == pytest.approx(clopper_pearson(50, 50)[0] - 0.01)
    assert made([0.0] * 5, [True] * 5).at_least(0.5) == 0


def test_a_run_is_joined_from_its_chunks(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    data = (subject.x[:9], subject.y[:9])
    whole = smooth(subject.model, data, SMOOTHING)
    monkeypatch.setattr(import_module("saddlepoint.audit.smooth"), "PASSES", 700)
    seen: list[tuple[int, int, int]] = []
    parts = smooth(subject.model, data, SMOOTHING, progress=lambda *a: seen.append(a))
    assert [done for done, *_ in seen] == [0, 2, 4, 6, 8, 9]
    assert seen[-1][2] == round(9 * parts.at(0).accuracy)
    assert all(np.array_equal(v, parts.table[k]) for k, v in whole.table.items())
    loader = [(subject.x[i : i + 4], subject.y[i : i + 4]) for i in range(0, 60, 4)]
    read = smooth(subject.model, loader, SMOOTHING, samples=9)  # type: ignore[arg-type]
    assert all(np.array_equal(v, read.table[k]) for k, v in whole.table.items())


def test_what_was_finished_is_not_done_again(subject: Subject, tmp_path: Path) -> None:
    class Mortal(nn.Module):
        def __init__(self, rows: int) -> None:
            super().__init__()
            self.inner, self.rows = subject.model, rows

        def forward(self, x: Tensor) -> Tensor:
            self.rows -= len(x)
            if self.rows < 0:
                raise KeyboardInterrupt
            out: Tensor = self.inner(x)
            return out

    data, settings = (subject.x[:6], subject.y[:6]), replace(SMOOTHING, n=40_000, batch_size=20_000)
    straight = smooth(subject.model, data, settings, out=tmp_path / "straight")
    first = Mortal(3 * 40_100)
    with pytest.raises(KeyboardInterrupt):
        smooth(first, data, settings, out=tmp_path / "run")
    assert not (tmp_path / "run/smooth.json").exists()
    second = Mortal(6 * 40_100 - 2 * 40_100 + 6)
    found = smooth(second, data, settings, out=tmp_path / "run")
    assert second.rows == 0
    assert all(np.array_equal(v, found.table[k]) for k, v in straight.table.items())
    ours, theirs = (tmp_path / k / "smooth.npz" for k in ("run", "straight"))
    assert ours.read_bytes() == theirs.read_bytes()


def test_another_model_or_data_set_is_refused(subject: Subject, tmp_path: Path) -> None:
    data = (subject.x[:4], subject.y[:4])
    smooth(subject.model, data, SMOOTHING, out=tmp_path / "run")
    other = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    with pytest.raises(Invalid, match="model_sha256"):
        smooth(other, data, SMOOTHING, out=tmp_path / "run")
    with pytest.raises(Invalid, match="data_sha256"):
        smooth(subject.model, (subject.x[1:5], data[1]), SMOOTHING, out=tmp_path / "run")
    with pytest.raises(Invalid, match="alpha"):
        smooth(subject.model, data, replace(SMOOTHING, alpha=0.01), out=tmp_path / "run")


def test_the_document_says_what_was_found(subject: Subject, tmp_path: Path) -> None:
    data = (subject.x[:20], subject.y[:20])
    found = smooth(subject.model, data, SMOOTHING, out=tmp_path / "run", seed=5)
    d = json.loads((tmp_path / "run/smooth.json").read_text())
    assert d["accuracy"] == [found.at(e).accuracy for e in d["eps"]]
    assert d["eps"][0] == 0
    assert d["eps"][-1] > SMOOTHING.largest
    assert d["accuracy"][-1] == 0
    assert d["seed"] == 5
    assert d["cost"]["forward"] == 300
    assert d["accuracy_of_the_smoothed"] + d["wrong"] + d["abstained"] == pytest.approx(1)
    first, second = draw_smooth(d), draw_smooth(json.loads(json.dumps(d)))
    assert first == second
    assert (tmp_path / "run/smooth.svg").read_bytes() == first["smooth.svg"]
    words = first["smooth.svg"].decode()
    assert "Certified accuracy against radius" in words
    assert "200 draws certify no more than" in words


def test_what_cannot_be_is_refused(subject: Subject, tmp_path: Path) -> None:
    x, y = subject.x[:20], subject.y[:20]
    for samples in (0, 21, 2.0, True):
        with pytest.raises(Invalid, match="samples"):
            smooth(subject.model, (x, y), SMOOTHING, samples=samples)  # type: ignore[arg-type]
    with pytest.raises(Unsupported, match="does it belong to this data set"):
        smooth(nn.Linear(3, 2), (x, y), SMOOTHING)
    few = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    with pytest.raises(BadData, match="the model knows 3 classes"):
        smooth(few, (x, y), SMOOTHING, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(Invalid, match="its answer is"):
        smooth(lambda x: torch.zeros(len(x)), (x, y), SMOOTHING)
    with pytest.raises(Invalid, match="seed"):
        smooth(subject.model, (x, y), SMOOTHING, seed=-1, out=tmp_path / "run")
