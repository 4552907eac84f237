"""The study of rotations and shifts: its file, its figure, how it goes on, and as a command."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from saddlepoint.cli.main import app
from saddlepoint.core.errors import BadData, Invalid
from saddlepoint.data import load_data
from saddlepoint.studies import SpatialPlan, draw_spatial, run_spatial
from saddlepoint.studies.spatial_plan import TRAINED
from saddlepoint.train import Epoch

Row = dict[str, Any]
ATTACKS = ("random", "worst_of", "first_order", "grid", "refined")


def tiny(**changed: Any) -> SpatialPlan:  # noqa: ANN401
    usual: dict[str, Any] = {
        "pixels": 1.0,
        "arch": "mlp",
        "options": {"hidden": [32]},
        "train_n": 300,
        "test_n": 30,
        "epochs": 3,
        "tries": 2,
        "steps": 3,
        "examples": 2,
        "batch_size": 64,
        "lr": 1e-2,
        "held_out": 0.1,
        "precision": "float32",
    }
    return SpatialPlan(**usual | changed)


class Notes:
    """Keeps what it is told, and stops the study after one net."""

    def __init__(self, stop: str = "") -> None:
        self.stop, self.nets = stop, list[tuple[str, bool]]()

    def epoch(self, name: str, row: Epoch) -> None:
        pass

    def attacked(self, name: str, attack: str, row: Row) -> None:
        pass

    def net(self, row: Row, kept: bool) -> None:
        self.nets.append((row["name"], kept))
        if row["name"] == self.stop:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Notes]:
    out, data = tmp_path_factory.mktemp("spatial"), load_data("digits")
    with pytest.raises(KeyboardInterrupt):
        run_spatial(tiny(), data, out, watch=Notes("augmented"))
    assert json.loads((out / "spatial.json").read_text())["status"] == "running"
    notes = Notes()
    run_spatial(tiny(), data, out, watch=notes)
    return out, notes


def test_goes_on_where_it_was_stopped(stopped: tuple[Path, Notes]) -> None:
    out, notes = stopped
    assert notes.nets == [("natural", True), ("augmented", True), ("worst-of-k", False)]
    document = json.loads((out / "spatial.json").read_text())
    assert document["status"] == "complete"
    assert sorted(c["name"] for c in document["cells"]) == sorted(TRAINED)


def test_says_what_every_attack_leaves(stopped: tuple[Path, Notes]) -> None:
    cells = json.loads((stopped[0] / "spatial.json").read_text())["cells"]
    for cell in cells:
        assert {cell["clean"]["n"], *(cell[a]["n"] for a in ATTACKS)} == {30}
        left = [cell[a]["accuracy"] for a in ("clean", *ATTACKS)]
        assert all(share <= left[0] for share in left)
        assert cell["grid"]["accuracy"] <= cell["random"]["accuracy"] + 1 / 30
    natural = next(c for c in cells if c["name"] == "natural")
    assert natural["grid"]["accuracy"] < natural["clean"]["accuracy"] - 0.2
    assert natural["plan"]["loss"] == "Natural()"
    first = natural["examples"][0]
    assert first["label"] != first["prediction"]
    before = np.frombuffer(bytes.fromhex(first["before"]), np.uint8)
    assert before.size == 64 == len(bytes.fromhex(first["after"]))
    assert first["before"] != first["after"]


def test_draws_any_document_the_same_way_twice(stopped: tuple[Path, Notes]) -> None:
    document = json.loads((stopped[0] / "spatial.json").read_text())
    files = draw_spatial(document)
    assert {name: (stopped[0] / name).read_bytes() for name in files} == files
    assert set(files) == {"spatial.png", "spatial.svg"}
    some = {**document, "cells": [c for c in document["cells"] if c["name"] == "natural"]}
    some["cells"][0] = {**some["cells"][0], "status": "diverged", "examples": []}
    assert draw_spatial(some)["spatial.png"].startswith(b"\x89PNG")


def test_refuses_another_study_and_what_cannot_turn(
    stopped: tuple[Path, Notes], tmp_path: Path
) -> None:
    with pytest.raises(Invalid, match="tries = 2 there, 3 here"):
        run_spatial(tiny(tries=3), load_data("digits"), stopped[0])
    rng = np.random.default_rng(0)
    flat = {"x_train": rng.random((20, 5), np.float32), "y_train": np.arange(20) % 2}
    np.savez(tmp_path / "flat.npz", **flat, x_test=flat["x_train"], y_test=flat["y_train"])
    with pytest.raises(BadData, match="only images can turn"):
        run_spatial(tiny(), load_data(str(tmp_path / "flat.npz")), tmp_path / "out")


@pytest.mark.parametrize(
    "given", [{"tries": 0}, {"test_n": True}, {"examples": -1}, {"degrees": 0}], ids=str
)
def test_bad_settings(given: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match=next(iter(given))):
        tiny(**given)


def test_as_a_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def small(cls: type[SpatialPlan], seed: int = 0) -> SpatialPlan:
        return tiny(epochs=1, test_n=10, seed=seed)

    monkeypatch.setattr(SpatialPlan, "quick", classmethod(small))
    words = ["study", "spatial", "--quick", "--data", "digits", "--out", str(tmp_path / "s")]
    result = CliRunner().invoke(app, [*words, "--seed", "3"])
    assert result.exit_code == 0, result.output + result.stderr
    assert re.search(r"training +clean +random +worst/10 +ascent +grid +refined", result.stdout)
    assert re.search(r"worst-of-k +\d+\.\d\d %", result.stdout)
    assert "natural: grid leaves" in result.stderr
    assert json.loads((tmp_path / "s/spatial.json").read_text())["settings"]["seed"] == 3
