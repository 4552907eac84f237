"""The study of views on digits: what it writes, that it adds up, how it goes on."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from saddlepoint import load_data
from saddlepoint.audit.stats import clopper_pearson
from saddlepoint.cli.main import app
from saddlepoint.core.errors import BadData, Invalid
from saddlepoint.studies import Eot, EotPlan, draw_eot, run_eot
from saddlepoint.studies.eot_plan import METHODS
from saddlepoint.train import Epoch


def tiny(**changed: Any) -> EotPlan:  # noqa: ANN401
    usual: dict[str, Any] = {
        "scenes": ("flat",),
        "images": 3,
        "steps": 3,
        "draws": 2,
        "trials": 10,
        "arch": "conv-small",
        "train_n": 600,
        "epochs": 4,
        "lr": 1e-2,
        "held_out": 0.1,
    }
    return EotPlan(**usual | changed)


class Stop(Exception):
    pass


class Watch:
    """Stops after a scene, and counts what was kept."""

    def __init__(self, stop: str = "") -> None:
        self.stop, self.kept, self.epochs = stop, 0, 0

    def epoch(self, name: str, row: Epoch) -> None:
        self.epochs += 1

    def scene(self, name: str, row: dict[str, Any], kept: bool) -> None:
        self.kept += kept
        if name == self.stop:
            raise Stop


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Eot:
    return run_eot(tiny(), load_data("digits"), tmp_path_factory.mktemp("eot"))


@pytest.mark.slow
def test_the_record_is_whole_and_adds_up(study: Eot) -> None:
    document = json.loads((study.folder / "eot.json").read_text())
    assert document == study.document
    assert document["status"] == "complete"
    assert document["settings"] == tiny().settings()
    rows, scene = document["cells"], document["scenes"]["flat"]
    assert scene["images"] == len(rows) == 3
    for method in METHODS:
        hits = sum(row[method]["target"] for row in rows)
        assert scene[method]["target"] == pytest.approx(hits / 30)
        assert scene[method]["interval"] == pytest.approx(list(clopper_pearson(hits, 30)))
        assert scene[method]["home"] == sum(row[method]["home"] for row in rows)
    for row in rows:
        assert row["label"] != row["target"]
        assert row["original"]["l2"] == 0
        assert not row["original"]["home"]
        assert row["smallest"]["l2"] <= row["pushed"]["l2"] + 1e-3
        assert all(row[m]["target"] + row[m]["label"] <= 10 for m in METHODS)


@pytest.mark.slow
def test_pictures_are_of_the_four_inputs(study: Eot) -> None:
    with np.load(study.folder / "flat/strip.npz", allow_pickle=False) as strip:
        assert strip["pictures"].shape == (4, 9, 1, 8, 8)
        assert strip["said"].shape == (4, 9)
    again = draw_eot(study.document, {"flat": dict(np.load(study.folder / "flat/strip.npz"))})
    assert again["eot.png"] == (study.folder / "eot.png").read_bytes()
    assert b"all views" in again["eot.svg"]
    assert draw_eot({**study.document, "cells": []}, {})["eot.png"][:4] == b"\x89PNG"


@pytest.mark.slow
def test_a_stopped_study_goes_on(study: Eot, tmp_path: Path) -> None:
    learns = {"images": 6, "train_n": 1400, "epochs": 8, "lr": 3e-3}
    data, plan = load_data("digits"), tiny(scenes=("flat", "cube"), **learns)
    with pytest.raises(Stop):
        run_eot(plan, data, tmp_path, watch=Watch("flat"))
    assert json.loads((tmp_path / "eot.json").read_text())["status"] == "running"
    again = Watch()
    finished = run_eot(plan, data, tmp_path, watch=again)
    assert (again.kept, again.epochs) == (1, plan.epochs)
    assert finished.document["status"] == "complete"
    assert set(finished.document["scenes"]) == {"flat", "cube"}
    with pytest.raises(Invalid, match="steps = 3 there, 4 here"):
        run_eot(tiny(scenes=("flat", "cube"), steps=4, **learns), data, tmp_path)


def test_a_file_of_another_study_is_refused(tmp_path: Path) -> None:
    (tmp_path / "eot.json").write_text('{"cells": []}')
    with pytest.raises(BadData, match="is no record of a study"):
        run_eot(tiny(), load_data("digits"), tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [("scenes", ()), ("scenes", ("pyramid",)), ("images", 0), ("trials", 5), ("eps", -1.0)],
)
def test_a_bad_plan_is_refused(name: str, value: object) -> None:
    with pytest.raises(Invalid, match=name):
        tiny(**{name: value})


@pytest.mark.slow
def test_the_command_ends_in_a_table(monkeypatch: pytest.MonkeyPatch, study: Eot) -> None:
    def small(cls: type[EotPlan], seed: int = 0) -> EotPlan:
        return tiny(seed=seed)

    monkeypatch.setattr(EotPlan, "quick", classmethod(small))
    words = ["study", "eot", "--quick", "--data", "digits", "--out", str(study.folder)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output + result.stderr
    assert "one view, smallest" in result.stdout
    assert "(kept)" in result.stderr
