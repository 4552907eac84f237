"""A whole study on digits: what it finds, how it stops and goes on, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from saddlepoint import load_data
from saddlepoint.core.errors import BadData, Invalid
from saddlepoint.models import build
from saddlepoint.studies import Capacity, run_capacity
from tests.studies.kit import Stop, StopAt, tiny

NAMES = ["x1-fgsm", "x1-natural", "x2-fgsm", "x2-natural"]


def results(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in document["cells"]]


def saved(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "capacity.json").read_text())
    return document


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Capacity:
    return run_capacity(tiny(), load_data("digits"), tmp_path_factory.mktemp("study"))


def test_the_record_is_whole(study: Capacity) -> None:
    document = saved(study.folder)
    assert document == study.document
    assert [row["name"] for row in document["cells"]] == NAMES
    assert (document["schema_version"], document["status"]) == ("1.0", "complete")
    assert document["settings"] == tiny().settings()
    assert document["environment"]["cpu"]
    assert document["data"]["test_sha256"] == load_data("digits").split("test").sha256(40)
    row = document["cells"][0]
    # conv 2, conv 4, linear 64 and 10 on 8 x 8.
    assert (row["parameters"], row["plan"]["options"]) == (52 + 204 + 1088 + 650, {"width": 2})
    for row in document["cells"]:
        assert row["clean"]["accuracy"] >= max(row["fgsm"]["accuracy"], row["pgd"]["accuracy"])
        for name in ("clean", "fgsm", "pgd"):
            low, high = row[name]["interval"]
            assert low <= row[name]["accuracy"] <= high
            assert (row[name]["n"], row[name]["errors"]) == (40, 0)


def test_the_figure_is_there(study: Capacity) -> None:
    assert (study.folder / "capacity.png").read_bytes()[:4] == b"\x89PNG"
    assert b"<svg" in (study.folder / "capacity.svg").read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_the_last_weights_are_measured(study: Capacity, name: str) -> None:
    row = next(r for r in study.document["cells"] if r["name"] == name)
    card = json.loads((study.folder / name / "model.json").read_text())
    assert row["final_loss"] == card["history"][-1]["loss"]
    model = build("madry-mnist", (1, 8, 8), 10, {"width": row["width"]}).eval()
    model.load_state_dict(load_file(study.folder / name / "last.safetensors"))
    x, y = load_data("digits").split("test").batch(slice(0, 40))
    with torch.no_grad():
        right = (model(x).argmax(1) == y).double().mean()
    assert row["clean"]["accuracy"] == pytest.approx(right.item())


def test_equal_widths_start_from_equal_weights(tmp_path: Path, study: Capacity) -> None:
    before = torch.get_rng_state()
    run_capacity(tiny(multipliers=(1,), trainings=("natural",)), load_data("digits"), tmp_path)
    assert torch.equal(before, torch.get_rng_state())
    natural, fgsm = (
        json.loads((study.folder / f"x1-{t}/model.json").read_text()) for t in ("natural", "fgsm")
    )
    assert natural["samples_sha256"] == fgsm["samples_sha256"]
    torch.rand(3)  # whatever the caller's seed
    assert results(saved(tmp_path))[0] == results(study.document)[1]


@pytest.mark.parametrize(
    ("watch", "done"),
    [(StopAt("x1-natural"), 1), (StopAt("x1-fgsm", 1), 1), (StopAt("x1-fgsm", 2), 1)],
    ids=["after-a-cell", "within-a-cell", "before-a-measurement"],
)
def test_a_study_that_was_stopped_goes_on(
    study: Capacity, tmp_path: Path, watch: StopAt, done: int
) -> None:
    data = load_data("digits")
    with pytest.raises(Stop):
        run_capacity(tiny(), data, tmp_path, watch=watch)
    document = saved(tmp_path)
    assert (len(document["cells"]), document["status"]) == (done, "running")
    first = document["cells"][0]
    stamp = (tmp_path / "x1-natural/model.safetensors").stat().st_mtime_ns
    again = StopAt()
    finished = run_capacity(tiny(), data, tmp_path, watch=again)
    assert again.seen[:2] == [("kept", "x1-natural"), ("start", "x1-fgsm")]
    assert (tmp_path / "x1-natural/model.safetensors").stat().st_mtime_ns == stamp
    assert first in finished.document["cells"]
    assert results(finished.document) == results(study.document)


def test_a_finished_study_is_not_computed_again(
    study: Capacity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("saddlepoint.studies.capacity.measure_cell", None)
    again = run_capacity(tiny(), load_data("digits"), study.folder)
    assert again.document["cells"] == study.document["cells"]


def test_a_cell_that_lost_its_last_weights_is_trained_again(
    study: Capacity, tmp_path: Path
) -> None:
    plan, data = tiny(multipliers=(1,), trainings=("natural",)), load_data("digits")
    run_capacity(plan, data, tmp_path)
    (tmp_path / "x1-natural/last.safetensors").unlink()
    (tmp_path / "capacity.json").unlink()
    again = run_capacity(plan, data, tmp_path)
    assert results(again.document)[0] == results(study.document)[1]


def test_further_widths_join(study: Capacity, tmp_path: Path) -> None:
    data = load_data("digits")
    run_capacity(tiny(multipliers=(2,)), data, tmp_path)
    watch = StopAt()
    document = run_capacity(tiny(), data, tmp_path, watch=watch).document
    assert [what for what, _ in watch.seen] == ["start", "end"] * 2 + ["kept"] * 2
    assert results(document) == results(study.document)


def test_a_mixed_folder_is_refused(study: Capacity) -> None:
    content = (study.folder / "capacity.json").read_bytes()
    with pytest.raises(Invalid, match=r"epochs = 2 there, 3 here.*choose another --out"):
        run_capacity(tiny(epochs=3), load_data("digits"), study.folder)
    with pytest.raises(Invalid, match=r"test_n = 40 there, 30 here"):
        run_capacity(tiny(test_n=30), load_data("digits"), study.folder)
    assert (study.folder / "capacity.json").read_bytes() == content


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "cannot be read"),
        ('{"cells": []}', "no record of a study"),
        ('{"schema_version": "9", "settings": {}, "data": {}, "cells": []}', "version '9'"),
        ('{"schema_version": "1.0", "settings": {}, "data": {}, "cells": [{}]}', "not whole"),
    ],
    ids=["damaged", "foreign", "newer", "partial"],
)
def test_a_bad_record_is_refused(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "capacity.json").write_text(content)
    with pytest.raises(BadData, match=said):
        run_capacity(tiny(), load_data("digits"), tmp_path)


def test_out_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Invalid, match="must be a folder"):
        run_capacity(tiny(), load_data("digits"), tmp_path / "file")


def test_divergence_is_an_outcome(tmp_path: Path) -> None:
    plan = tiny(multipliers=(1,), trainings=("natural",), lr=1e30)
    study = run_capacity(plan, load_data("digits"), tmp_path)
    (row,) = study.document["cells"]
    assert (row["status"], row["clean"], row["final_loss"]) == ("diverged", None, None)
    assert "no epoch was completed" in row["message"]
    assert study.document["status"] == "complete"
    assert b">diverged<" in (tmp_path / "capacity.svg").read_bytes()
    watch = StopAt()
    run_capacity(plan, load_data("digits"), tmp_path, watch=watch)
    assert watch.seen == [("kept", "x1-natural")]
