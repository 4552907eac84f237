"""Pictures of a training run: whatever the run went through, and always the same bytes."""

import math
import re
import sys
from io import BytesIO
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from saddlepoint.train.curves import draw_curves

Rows = list[dict[str, Any]]
EVENT = {"epoch": 2, "own": 0.99, "robust": 0.01, "kept": 1}


def epochs(n: int, **changed: Any) -> Rows:  # noqa: ANN401
    usual = {"clean": 0.9, "robust": 0.6, "own": 0.7, "lr": 0.1, "seconds": 1.0}
    return [{"epoch": e, "loss": 2 / e, **usual, **changed} for e in range(1, n + 1)]


def words(curves: dict[str, bytes]) -> set[str]:
    tree = ElementTree.fromstring(curves["curves.svg"])  # noqa: S314 - made one line above
    return {"".join(e.itertext()).strip() for e in tree.iter() if e.tag.endswith("}text")}


RUNS: dict[str, tuple[Rows, Rows, int]] = {
    "one": (epochs(1), [], 1),
    "few": (epochs(5), [], 4),
    "many": (epochs(100), [EVENT], 90),
    "natural": (epochs(3, robust=None, own=None), [], 3),
    "nothing-measured": (epochs(2, clean=None, robust=None, own=None, lr=None, loss=None), [], 2),
    "diverged": ([*epochs(2), *epochs(1, epoch=3, loss=math.nan, lr=0.0)], [], 2),
    "infinite": (epochs(2, loss=math.inf), [], 0),
    "perfect": (epochs(2, loss=0.0, clean=1.0, robust=1.0), [], 2),
    "old": ([{"epoch": 1, "loss": 1.0, "clean": 0.5, "robust": 0.25}], [], 1),
    "undone-first": (epochs(1), [EVENT | {"epoch": 1, "kept": 0}, EVENT | {"epoch": 9}], 0),
}


EASY = ("few", "perfect", "infinite", "old")  # what the others show as well


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] if n in EASY else []) for n in RUNS]
)
def test_every_run_can_be_drawn(name: str) -> None:
    history, events, best = RUNS[name]
    curves = draw_curves(history, events, best)
    assert list(curves) == ["curves.png", "curves.svg"]
    with Image.open(BytesIO(curves["curves.png"])) as image:
        assert (image.format, image.size[0] > 1000) == ("PNG", True)
        assert len(np.unique(np.asarray(image.convert("L")))) > 20
        assert not {"Software", "Creation Time"} & image.info.keys()
    assert {"Held-out accuracy", "Training loss", "learning rate", "epoch"} <= words(curves)


def test_no_epoch_gives_no_picture() -> None:
    assert draw_curves([], [EVENT], 3) == {}


def test_lines_are_named_and_absent_ones_are_not() -> None:
    said = words(draw_curves(epochs(4), [EVENT], 3))
    assert {"clean", "check attack", "training attack", "kept (epoch 3)", "G1"} <= said
    assert "collapse, undone" in said
    said = words(draw_curves(epochs(4, own=None), [], 0))
    assert {"clean", "check attack"} <= said
    assert not {"training attack", "collapse, undone", "G1"} & said
    assert not [text for text in said if "kept" in text]


def test_a_collapse_that_was_not_undone_is_not_called_undone() -> None:
    stayed = EVENT | {"epoch": 3, "kept": 3, "stronger": ""}
    said = words(draw_curves(epochs(4), [stayed], 3))
    assert "collapse" in said
    assert "collapse, undone" not in said
    assert {"collapse", "collapse, undone"} <= words(draw_curves(epochs(4), [stayed, EVENT], 3))


def test_every_event_has_its_number() -> None:
    events = [EVENT | {"epoch": e} for e in (2, 5, 6)]
    assert {"G1", "G2", "G3"} <= words(draw_curves(epochs(8), events, 8))


def test_equal_runs_give_equal_bytes_whatever_the_settings() -> None:
    history, events, best = RUNS["many"]
    first = draw_curves(history, events, best)
    with mpl.rc_context({"lines.linewidth": 9.0, "svg.hashsalt": None, "font.size": 30}):
        assert draw_curves(history, events, best) == first
        assert mpl.rcParams["lines.linewidth"] == 9.0
    assert draw_curves(history, events, best - 1) != first


def test_the_svg_holds_nothing_but_the_drawing() -> None:
    svg = draw_curves(epochs(3))["curves.svg"].decode()
    assert "<metadata" not in svg
    assert "<!--" not in svg
    assert not re.search(r"\d{4}-\d\d-\d\d", svg)
    assert "<script" not in svg
    assert "<image" not in svg


def test_pyplot_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # importing it would now fail
    assert draw_curves(epochs(2))
