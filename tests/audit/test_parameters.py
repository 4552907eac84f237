"""Sets whose parameters are not the perturbation: witnesses keep them, and replay asks for them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

import saddlepoint as sp
from saddlepoint.audit.membership import independent, inspect
from saddlepoint.audit.replay import Witnesses, replay
from saddlepoint.audit.samples import Pair
from saddlepoint.audit.witness import distance
from saddlepoint.core.errors import Invalid
from tests.audit.conftest import Subject
from tests.laws.toy import Shade

DARK = Shade(0.9)


@pytest.fixture
def finished(subject: Subject, tmp_path: Path) -> Path:
    attacks: Any = (sp.PGD(steps=5), sp.WorstOf(k=5))
    data = (subject.x, subject.y)
    sp.audit(subject.model, data, DARK, attacks, out=tmp_path, figures=0, batch_size=16)
    return tmp_path


def again(subject: Subject, folder: Path) -> dict[int, str]:
    samples = Pair(subject.x, subject.y)
    return replay(Witnesses.load(folder), subject.model, samples, DARK).failed


def test_witnesses_hold_the_parameters_that_make_them(subject: Subject, finished: Path) -> None:
    kept = load_file(finished / "witnesses.safetensors")
    assert len(kept["index"]) > 5
    assert kept["u"].shape == (len(kept["index"]), 1)
    x, u = subject.x[kept["index"]], torch.from_numpy(kept["u"])
    np.testing.assert_array_equal(DARK.apply(x, u).numpy(), kept["x_adv"])
    assert again(subject, finished) == {}


@pytest.mark.parametrize(
    ("change", "said"), [(0.95, "not in the set"), (0.01, "make another input")]
)
def test_other_parameters_are_refused(
    subject: Subject, finished: Path, change: float, said: str
) -> None:
    path = finished / "witnesses.safetensors"
    kept = load_file(path)
    row = int(np.flatnonzero(kept["u"][:, 0] > 0.2)[0])
    kept["u"][row] = change
    save_file(kept, path)
    failed = again(subject, finished)
    assert list(failed) == [int(kept["index"][row])]
    assert said in failed[int(kept["index"][row])]


def test_missing_parameters_are_refused(subject: Subject, finished: Path) -> None:
    path = finished / "witnesses.safetensors"
    kept = load_file(path)
    del kept["u"]
    save_file(kept, path)
    failed = again(subject, finished)
    assert set(failed.values()) == {"its parameters u are missing"}
    assert len(failed) == len(kept["index"])


def test_balls_keep_none(subject: Subject, tmp_path: Path) -> None:
    threat: Any = sp.Linf(0.1)
    data = (subject.x, subject.y)
    sp.audit(subject.model, data, threat, (sp.FGSM(),), out=tmp_path, figures=0)
    assert "u" not in load_file(tmp_path / "witnesses.safetensors")


def test_what_is_judged_independently() -> None:
    assert independent(sp.Quantize(sp.L2(0.1)))
    assert not independent(DARK)


def test_distance_is_the_size_where_no_norm_is_known() -> None:
    x, u = np.full((2, 3), 0.5), np.array([[0.25], [0.5]])
    assert distance(x, x * (1 - u), DARK, u).tolist() == [0.25, 0.5]
    with pytest.raises(Invalid, match="sizes"):
        distance(x, x, object(), u)


def test_no_rows_are_judged_in_no_time() -> None:
    none = np.zeros((0, 3))
    assert inspect(none, none, DARK, np.arange(0), np.zeros((0, 1))) == []


def test_the_curve_measures_such_sets(subject: Subject, tmp_path: Path) -> None:
    data = (subject.x[:20], subject.y[:20])
    bisect: Any = sp.Bisect(sp.PGD(steps=4), rounds=5)
    curve = sp.curve(subject.model, data, Shade(1.0), bisect, out=tmp_path)
    kept = load_file(tmp_path / "witnesses.safetensors")
    broken = np.isfinite(curve.distance[kept["index"]])
    assert broken.all()
    np.testing.assert_allclose(kept["u"][:, 0], curve.distance[kept["index"]], atol=1e-6)
