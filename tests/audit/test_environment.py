"""Audits of models in another environment: witnesses are kept, judged again, or refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.audit.membership import independent, inspect
from saddlepoint.audit.replay import Witnesses, replay
from saddlepoint.audit.samples import Pair
from saddlepoint.core.errors import Invalid, Unsupported
from saddlepoint.presets import parse_threat

KNOWN = ("Affine()", "Perspective()", "Colour(saturation=0, hue=0)", "Blur('motion')")


@pytest.fixture(scope="module")
def subject() -> tuple[nn.Module, Tensor, Tensor]:
    """A linear net on striped images, and its own answers."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
        x = torch.rand(12, 1, 8, 8).round(decimals=2)
    return model, x, model(x).argmax(1)


@pytest.mark.parametrize(
    "text",
    [
        "Blur('motion')",
        "Corruption('fog', severity=4)",
        *(pytest.param(t, marks=pytest.mark.slow) for t in (*KNOWN[:3], "Corruption('jpeg')")),
    ],
)
def test_witnesses_hold_until_they_are_altered(
    subject: tuple[nn.Module, Tensor, Tensor], text: str, tmp_path: Path
) -> None:
    model, x, y = subject
    threat: Any = parse_threat(text)
    assert parse_threat(repr(threat)) == threat
    attacks: Any = (sp.WorstOf(k=20), sp.PGD(steps=5))
    sp.audit(model, (x, y), threat, attacks, out=tmp_path, figures=0, probes=0)
    assert replay(Witnesses.load(tmp_path), model, Pair(x, y), threat).failed == {}
    path = tmp_path / "witnesses.safetensors"
    kept = load_file(path)
    assert len(kept["index"]) >= 1
    kept["x_adv"][0, 0, 3, 3] += 0.01
    save_file(kept, path)
    failed = replay(Witnesses.load(tmp_path), model, Pair(x, y), threat).failed
    assert list(failed) == [int(kept["index"][0])]
    assert "make another i" in failed[int(kept["index"][0])]


def test_some_sets_are_made_again_and_others_judge_themselves() -> None:
    assert all(independent(parse_threat(text)) for text in KNOWN)
    assert not independent(sp.Corruption("fog"))


def test_what_is_wrong_is_said() -> None:
    x, threat = np.full((2, 1, 4, 4), 0.5), sp.Blur("motion", severity=2)
    rows = np.arange(2)
    said = inspect(x, x, threat, rows, np.array([[2.5, 0.0], [0.0, 1.5]]))
    assert said == [
        "parameter 0 is 2.5, outside [0, 2]",
        "parameter 1 is 1.5, outside [-1, 1]",
    ]
    assert inspect(x, x, threat, rows, np.zeros((2, 1)))[0] == "1 parameters instead of 2"
    each = sp.Blur(severity=torch.tensor([1.0, 4.0]))
    said = inspect(x, x, each, rows[::-1], np.full((2, 1), 2.0))
    assert said == ["", "parameter 0 is 2, outside [0, 1]"]
    assert inspect(x, x * np.nan, threat, rows, np.zeros((2, 2)))[0].endswith("nan away")


def test_severity_is_the_size_of_a_curve(
    subject: tuple[nn.Module, Tensor, Tensor],
) -> None:
    """The nearest break of a linear net under less contrast, by bisection of the severity."""
    model, x, y = subject
    threat = sp.Corruption("contrast")
    found = sp.nearest(sp.Bisect(sp.Grid(counts=(2,)), rounds=12), model, x, y, threat)
    broken = np.flatnonzero(np.isfinite(found.size.numpy())).tolist()
    assert broken
    for i in broken:
        for share, breaks in ((0.98, False), (1.0, True)):
            moved = threat.apply(x[i : i + 1], found.size[i].float().view(1, 1) * share)
            assert bool(model(moved).argmax(1) != y[i]) is breaks


def test_an_audit_refuses_images_that_do_not_fit(
    subject: tuple[nn.Module, Tensor, Tensor], tmp_path: Path
) -> None:
    model, x, y = subject
    with pytest.raises(Unsupported, match="neither saturation nor hue"):
        sp.audit(model, (x, y), sp.Colour(), (sp.PGD(steps=2),), out=tmp_path / "grey")
    flat = nn.Sequential(nn.Linear(64, 3))
    with pytest.raises(Invalid, match="must be images"):
        sp.audit(flat, (x.flatten(1), y), sp.Affine(), (sp.PGD(steps=2),), out=tmp_path / "flat")
