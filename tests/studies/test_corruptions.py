"""The study of common corruptions, at its smallest."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

from saddlepoint.cli.main import app
from saddlepoint.core.errors import BadData, Invalid
from saddlepoint.data import Dataset, load_data
from saddlepoint.studies import CorruptionsPlan, draw_corruptions, run_corruptions
from saddlepoint.studies.corrupted import unpacked
from saddlepoint.threats import Corruption


class Bright(nn.Module):
    """Names class 0 unless the mean of an image exceeds a half."""

    def forward(self, x: Tensor) -> Tensor:
        level = x.flatten(1).mean(1)
        return torch.stack([0.5 - level, level - 0.5], 1)


def tiny(**changed: Any) -> CorruptionsPlan:  # noqa: ANN401
    usual: dict[str, Any] = {
        "names": ("brightness", "gaussian_noise"),
        "severities": (1, 5),
        "draws": 3,
        "test_n": 20,
    }
    return CorruptionsPlan(**usual | changed)


class Cells:
    def __init__(self, stop: int = 99) -> None:
        self.kept: list[bool] = []
        self.stop = stop

    def epoch(self, name: str, row: object) -> None:
        pass

    def cell(self, row: dict[str, Any], kept: bool) -> None:
        self.kept.append(kept)
        if len(self.kept) == self.stop:
            raise KeyboardInterrupt


def test_every_cell_is_what_the_model_says_of_the_set(tmp_path: Path) -> None:
    data, net = load_data("digits"), Bright()
    study = run_corruptions(tiny(), data, tmp_path, models={"bright": net})
    x, y = data.split("test").batch(slice(0, 20))
    cells = {row["name"]: row for row in study.document["cells"]}
    assert len(cells) == 4
    brighter = Corruption("brightness").apply(x, torch.full((20, 1), 5.0))
    right = net(brighter).argmax(1) == y
    row = cells["bright/brightness-5"]
    assert row["accuracy"] == row["worst"] == pytest.approx(float(right.double().mean()))
    assert unpacked(row).tolist() == right.tolist()
    noisy = cells["bright/gaussian_noise-5"]
    assert noisy["draws"] == len(noisy["of_draws"]) == 3
    assert noisy["worst"] <= min(noisy["of_draws"])
    assert noisy["accuracy"] == pytest.approx(sum(noisy["of_draws"]) / 3)
    said = study.document["nets"]["bright"]
    assert said["all"] <= min(r["worst"] for r in cells.values())
    means = said["corruptions"].values()
    assert said["mean"] == pytest.approx(sum(means) / 2)


def test_a_stopped_study_goes_on_and_other_settings_are_refused(tmp_path: Path) -> None:
    data, models = load_data("digits"), {"bright": Bright()}
    with pytest.raises(KeyboardInterrupt):
        run_corruptions(tiny(), data, tmp_path, models=models, watch=Cells(stop=3))
    again = Cells()
    whole = run_corruptions(tiny(), data, tmp_path, models=models, watch=again)
    assert again.kept == [True, True, True, False]
    assert whole.document["status"] == "complete"
    fresh = run_corruptions(tiny(), data, tmp_path / "fresh", models=models)
    assert fresh.document["cells"] == whole.document["cells"]
    with pytest.raises(Invalid, match="another plan: draws = 3 there, 4 here"):
        run_corruptions(tiny(draws=4), data, tmp_path, models=models)


def test_equal_documents_give_equal_bytes(tmp_path: Path) -> None:
    study = run_corruptions(tiny(), load_data("digits"), tmp_path, models={"bright": Bright()})
    first, second = (draw_corruptions(copy.deepcopy(study.document)) for _ in range(2))
    assert first == second
    assert b"gaussian noise" in first["corruptions.svg"]
    empty = study.document | {"cells": [], "nets": {}}
    assert draw_corruptions(empty)["corruptions.png"][:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"draws": 0}, "draws = 0"),
        ({"names": ("fogg",)}, "did you mean fog"),
        ({"severities": (6,)}, r"severity = 6: must be in \[0, 5\]"),
        ({"severities": ()}, "one of each at least"),
    ],
)
def test_a_bad_plan_is_refused(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(Invalid, match=words):
        tiny(**changed)


def test_rows_of_numbers_are_no_images(tmp_path: Path) -> None:
    x, y = np.zeros((4, 6), dtype=np.float32), np.array([0, 1, 0, 1])
    flat = Dataset("rows", x, y, x, y, classes=2)
    with pytest.raises(BadData, match="only images are corrupted"):
        run_corruptions(tiny(), flat, tmp_path)


@pytest.mark.slow
def test_the_command_trains_three_nets_and_ends_in_a_table(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def small(cls: type[CorruptionsPlan], seed: int = 0) -> CorruptionsPlan:
        return tiny(steps=6, train_n=100, batch_size=32, severities=(3,), held_out=0.1)

    monkeypatch.setattr(CorruptionsPlan, "quick", classmethod(small))
    words = ["study", "corruptions", "--quick", "--data", "digits", "--out", str(tmp_path)]
    result = CliRunner().invoke(app, [*words, "--n", "10", "--draws", "2"])
    assert result.exit_code == 0, result.output + result.stderr
    assert "right in every cell and draw" in result.stdout
    document = json.loads((tmp_path / "corruptions.json").read_text())
    assert list(document["nets"]) == ["natural", "noise", "adversarial"]
    assert document["settings"]["draws"] == 2
    assert len(document["cells"]) == 6
    assert (tmp_path / "corruptions.svg").exists()
