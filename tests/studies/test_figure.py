"""The figure draws what the record says."""

import copy
import re
from typing import Any

import pytest
from matplotlib.figure import Figure

from saddlepoint.studies import draw_capacity
from saddlepoint.studies.figure import _paint

LEVELS = {"natural": (0.98, 0.1, 0.0, 0.05), "fgsm": (0.97, 0.9, 0.02, 0.1)}


def row(multiplier: int, training: str) -> dict[str, Any]:
    clean, fgsm, pgd, loss = LEVELS.get(training, (0.95, 0.93, 0.9, 0.3))
    said = {"name": f"x{multiplier}-{training}", "multiplier": multiplier, "training": training}
    measured = {
        name: {"accuracy": v, "interval": [max(0, v - 0.01), min(1, v + 0.01)]}
        for name, v in (("clean", clean), ("fgsm", fgsm), ("pgd", pgd))
    }
    return {**said, **measured, "final_loss": loss / multiplier, "status": "complete"}


@pytest.fixture
def document() -> dict[str, Any]:
    cells = [row(m, t) for m in (1, 4, 16) for t in ("fgsm", "natural", "pgd")]
    data = {"data": "mnist", "majority": 0.1135, "test_samples": 1000}
    return {"cells": cells, "settings": {"eps": 0.3, "test_steps": 20}, "data": data}


def painted(document: dict[str, Any]) -> Figure:
    figure = Figure(figsize=(15.5, 4.9))
    _paint(figure, document)
    return figure


def test_each_panel_shows_its_training(document: dict[str, Any]) -> None:
    panels = painted(document).axes
    titles = [axes.get_title(loc="left").split(" training")[0] for axes in panels]
    assert titles == ["Natural", "FGSM", "PGD", "Training loss, last epoch"]
    levels = [[next(iter(line.get_ydata())) for line in axes.lines[1:4]] for axes in panels[:3]]
    assert levels == [[0.98, 0.1, 0.0], [0.97, 0.9, 0.02], [0.95, 0.93, 0.9]]
    losses = [list(line.get_ydata())[-1] for line in panels[3].lines[:3]]
    assert losses == [0.05 / 16, 0.1 / 16, 0.3 / 16]
    for axes in panels:
        assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "4", "16"]


def test_a_diverged_cell_is_a_gap_with_a_cross(document: dict[str, Any]) -> None:
    broken = document["cells"][5]  # x4-pgd
    broken |= {"clean": None, "fgsm": None, "pgd": None, "final_loss": None, "status": "diverged"}
    panels = painted(document).axes
    y = list(panels[2].lines[1].get_ydata())
    assert (y[0], y[2]) == (0.95, 0.95)
    assert y[1] != y[1]
    crosses = [list(line.get_xdata()) for line in (axes.lines[-1] for axes in panels)]
    assert crosses == [[], [], [4], [4]]


def test_equal_documents_give_equal_bytes(document: dict[str, Any]) -> None:
    first, second = draw_capacity(document), draw_capacity(copy.deepcopy(document))
    assert first == second
    assert re.search(rb"under PGD, 20 steps", first["capacity.svg"])


def test_no_cells_and_nothing_learnt_can_be_drawn(document: dict[str, Any]) -> None:
    constant = [{**c, "final_loss": 2.301} for c in document["cells"]]
    low, high = painted(document | {"cells": constant}).axes[3].get_ylim()
    assert high / low >= 10
    assert draw_capacity(document | {"cells": []})["capacity.png"][:4] == b"\x89PNG"
