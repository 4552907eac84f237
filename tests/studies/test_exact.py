"""The study of exact distances on digits: what it finds, how it goes on, what it draws."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from saddlepoint import load_data
from saddlepoint.cli.main import app
from saddlepoint.core.errors import Invalid, Unsound
from saddlepoint.studies import Exact, ExactPlan, draw_exact, run_exact
from saddlepoint.studies.distances import Attacked, check_image, measure_image
from saddlepoint.train import Epoch


def tiny(**changed: Any) -> ExactPlan:  # noqa: ANN401
    usual: dict[str, Any] = {
        "hidden": (6,),
        "train_n": 400,
        "epochs": 2,
        "images": 2,
        "tolerance": 0.05,
        "seconds": 3.0,
        "programs": 1,
        "program_seconds": 20.0,
        "steps": 5,
        "lr": 1e-2,
        "held_out": 0.1,
    }
    return ExactPlan(**usual | changed)


class Stop(Exception):
    pass


class StopAfter:
    """Stops after so many new or changed rows."""

    def __init__(self, images: int = -1) -> None:
        self.left, self.kept = images, 0

    def epoch(self, name: str, row: Epoch) -> None:
        pass

    def image(self, row: dict[str, Any], kept: bool) -> None:
        self.kept += kept
        self.left -= not kept
        if self.left == 0:
            raise Stop


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Exact:
    return run_exact(tiny(), load_data("digits"), tmp_path_factory.mktemp("study"))


def test_the_record_is_whole_and_in_order(study: Exact) -> None:
    assert json.loads((study.folder / "exact.json").read_text()) == study.document
    assert study.document["status"] == "complete"
    assert study.document["settings"] == tiny().settings()
    rows = study.document["cells"]
    assert [row["training"] for row in rows] == ["adversarial"] * 2 + ["natural"] * 2
    for row in rows:
        assert 0 <= row["lower"] <= row["upper"] <= 1
        assert all(size is None or size >= row["lower"] - 2e-6 for size in row["attacks"].values())
        assert set(row["attacks"]) == set(tiny().attacks())
    programs = [row["program"] for row in rows]
    assert sorted(p is None for p in programs[:2]) == [False, True]
    assert sorted(p is None for p in programs[2:]) == [False, True]
    for row in rows:
        if row["program"] and row["program"]["state"] == "optimal":
            assert row["spent"] <= min(r["spent"] for r in rows if r["training"] == row["training"])
            assert row["program"]["lower"] <= row["upper"] + 2e-6
            assert row["program"]["upper"] >= row["lower"] - 2e-6


def test_the_summary_is_that_of_the_rows(study: Exact) -> None:
    nets = study.document["nets"]
    for name, net in nets.items():
        rows = [row for row in study.document["cells"] if row["training"] == name]
        assert net["images"] == len(rows)
        mean = sum(row["upper"] for row in rows) / len(rows)
        assert net["distance"][1] == pytest.approx(mean)
        for attack, said in net["attacks"].items():
            sizes = [(row["attacks"][attack], row["upper"]) for row in rows]
            ratios = [size / upper for size, upper in sizes if size is not None]
            assert said["found"] == len(ratios)
            assert said["largest"] == max(ratios, default=None)
    means = [nets[name]["distance"][1] for name in ("natural", "adversarial")]
    assert study.document["factor"] == pytest.approx(means[1] / means[0])


@pytest.mark.slow
def test_a_stopped_study_goes_on(study: Exact, tmp_path: Path) -> None:
    data = load_data("digits")
    with pytest.raises(Stop):
        run_exact(tiny(), data, tmp_path, watch=StopAfter(4))  # two images, a program, an image
    document = json.loads((tmp_path / "exact.json").read_text())
    assert (len(document["cells"]), document["status"]) == (3, "running")
    again = StopAfter()
    finished = run_exact(tiny(), data, tmp_path, watch=again)
    assert again.kept == 3
    assert finished.document["status"] == "complete"
    for one, two in zip(finished.document["cells"], study.document["cells"], strict=True):
        assert one["attacks"] == two["attacks"]
    with pytest.raises(Invalid, match="holds a study by another plan"):
        run_exact(tiny(images=3), data, tmp_path)


def test_what_contradicts_a_certified_size_stops_it() -> None:
    net = torch.nn.Linear(2, 2).requires_grad_(False)
    net.weight.copy_(torch.eye(2))
    net.bias.zero_()
    x, y = torch.tensor([[0.75, 0.25]]), torch.tensor([0])
    sizes = {"claimed": torch.tensor([0.1], dtype=torch.float64)}
    with pytest.raises(Unsound, match=r"claimed breaks at 0\.1, below the certified"):
        measure_image(tiny(), net, x, y, Attacked(sizes, torch.tensor([[0.4, 0.6]])))
    sizes["claimed"][0] = 0.35
    row = measure_image(tiny(), net, x, y, Attacked(sizes, torch.tensor([[0.4, 0.6]])))
    assert row["lower"] <= 0.25 <= row["upper"]
    checked = check_image(tiny(), net, x, y, row)
    assert checked["state"] == "optimal"
    assert checked["upper"] == pytest.approx(0.25, abs=1e-6)
    for wrong in ({"lower": 0.27, "upper": 0.3}, {"lower": 0.1, "upper": 0.2}):
        with pytest.raises(Unsound, match="the program puts the distance"):
            check_image(tiny(), net, x, y, wrong)


def test_equal_documents_give_equal_bytes(study: Exact) -> None:
    first, second = draw_exact(study.document), draw_exact(copy.deepcopy(study.document))
    assert first == second
    assert b"Smallest change of each image" in first["exact.svg"]
    empty = study.document | {"cells": [], "factor": None}
    assert draw_exact(empty)["exact.png"][:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("name", "value"),
    [("images", 0), ("programs", -1), ("seconds", 0), ("hidden", ()), ("tolerance", 2.0)],
)
def test_a_bad_plan_is_refused(name: str, value: object) -> None:
    with pytest.raises(Invalid, match=name):
        tiny(**{name: value})


def test_the_command_ends_in_a_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def small(cls: type[ExactPlan], seed: int = 0) -> ExactPlan:
        return tiny(images=1, seed=seed)

    monkeypatch.setattr(ExactPlan, "quick", classmethod(small))
    words = ["study", "exact", "--quick", "--data", "digits", "--out", str(tmp_path)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output + result.stderr
    assert "adversarial training multiplies the mean distance by" in result.stdout
    assert "natural" in result.stdout
    assert (tmp_path / "exact.svg").exists()
