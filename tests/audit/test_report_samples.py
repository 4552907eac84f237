"""Pictures and tables of single samples and classes, and what the model looks at."""

from pathlib import Path

import numpy as np
import pytest

from saddlepoint.audit.report import Run, write_report
from saddlepoint.audit.report.classes import class_table
from saddlepoint.audit.report.extremes import extremes
from saddlepoint.audit.report.insides import insides, side_by_side
from saddlepoint.audit.report.pictures import signed_uri
from saddlepoint.audit.stats import clopper_pearson
from saddlepoint.core.errors import BadData
from tests.audit.test_report_page import EVIL, Outline, titles
from tests.audit.test_report_runs import Fake, add_insides, make_run

FAKES = {
    "grey": Fake(name="robust", gallery=0, figures=False),
    "natural": Fake(name="natural", robust=14, gallery=0, figures=False),
    "colour": Fake(name=EVIL, shape=(3, 8, 8), gallery=0, figures=False),
    "tabular": Fake(shape=(12,), gallery=0, figures=False),
}
SECTIONS = {"Hardest and easiest samples", "What the model looks at"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    root = tmp_path_factory.mktemp("insides")
    return {
        name: Run.load(add_insides(make_run(root / name, fake), fake))
        for name, fake in FAKES.items()
    }


@pytest.fixture(scope="module")
def pages(runs: dict[str, Run], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("pages")
    sets = {name: [run] for name, run in runs.items()}
    sets["both"] = [runs["natural"], runs["grey"]]
    made = {name: write_report(several, root / f"{name}.html") for name, several in sets.items()}
    return {name: path.read_text(encoding="utf-8") for name, path in made.items()}


def test_sections_follow_the_files(pages: dict[str, str]) -> None:
    assert set(titles(pages["grey"])) >= SECTIONS
    assert set(titles(pages["colour"])) >= SECTIONS
    assert set(titles(pages["tabular"])) & SECTIONS == {"Hardest and easiest samples"}


@pytest.mark.parametrize("name", [*FAKES, "both"])
def test_pages_stay_well_formed_and_closed(name: str, pages: dict[str, str]) -> None:
    outline = Outline(pages[name])
    assert outline.open == []
    assert all(outline.alts)
    assert all(b - a <= 1 for a, b in zip(outline.levels, outline.levels[1:], strict=False))
    assert len(outline.ids) == len(set(outline.ids))
    assert "<script" not in pages[name].lower()
    assert "NaN" not in pages[name]


def test_extremes_show_the_numbers_of_the_file(runs: dict[str, Run], pages: dict[str, str]) -> None:
    groups = extremes(runs["grey"])
    assert [(g.kind, len(g.samples)) for g in groups] == [("easy", 4), ("narrow", 2), ("safe", 2)]
    easy, narrow = groups[0].samples, groups[1].samples
    assert (easy[3].passes, easy[3].margin) == ("1,234", "2")
    assert easy[0].taken_for == str((easy[0].label + 1) % 10)
    assert narrow[0].taken_for == ""
    stored = runs["grey"].samples
    for index, passes in zip(stored["index"], stored["passes"], strict=True):
        tile = pages["grey"][pages["grey"].index(f"<small>sample {index}</small>") :][:200]
        assert f"{passes:,} passes" in tile


def test_inputs_that_are_no_images_get_a_table(pages: dict[str, str]) -> None:
    section = pages["tabular"][pages["tabular"].index("Hardest and easiest") :]
    section = section[: section.index("</section>")]
    assert "<img" not in section
    assert section.count("<table") == 3
    assert "FGSM()" in section


def test_classes_are_counted_one_by_one(runs: dict[str, Run]) -> None:
    run = runs["grey"]
    table = class_table(run)
    assert table is not None
    assert (len(table.rows), table.total, sum(r.n for r in table.rows)) == (10, 10, 200)
    row = table.rows[4]
    mine = run.evidence["label"] == 4
    left = int((~run.broken)[mine].sum())
    assert row.robust.startswith(f"{100 * left / mine.sum():.1f}")
    low, high = clopper_pearson(left, int(mine.sum()))
    assert row.interval.replace("\u00a0", " ") == f"{100 * low:.1f} % to {100 * high:.1f} %"
    fell = int(run.broken[mine].sum())
    assert row.taken_for == f"5 ({fell} of {fell})"


def test_of_many_classes_the_weakest_are_shown(runs: dict[str, Run]) -> None:
    run = runs["grey"]
    evidence = {**run.evidence, "label": np.arange(200) // 4}
    table = class_table(Run(run.folder, run.audit, evidence, run.witnesses, {}, {}))
    assert table is not None
    assert (len(table.rows), table.total, table.confused) == (20, 50, False)
    one = {**run.evidence, "label": np.zeros(200, int)}
    assert class_table(Run(run.folder, run.audit, one, run.witnesses, {}, {})) is None


def test_filters_and_gradients(runs: dict[str, Run]) -> None:
    seen = insides(runs["grey"])
    assert seen is not None
    assert len(seen.filters) == 6
    assert "3 of them weigh less" in seen.filter_words
    assert [len(x.gradients) for x in seen.inputs] == [1] * 8
    assert seen.inputs[0].gradients == ("",)  # a gradient of zeros is no picture
    assert not seen.colour
    colour = insides(runs["colour"])
    assert colour is not None
    assert colour.colour


def test_a_missing_gradient_is_said(runs: dict[str, Run], tmp_path: Path) -> None:
    run = runs["grey"]
    only = {"note": np.array("no gradient of the loss <b>reaches</b> the input")}
    bare = Run(run.folder, run.audit, run.evidence, run.witnesses, {}, {}, {}, only)
    page = write_report([bare], tmp_path / "r.html").read_text()
    assert "the loss &lt;b&gt;reaches&lt;/b&gt; the input." in page
    assert insides(Run(run.folder, run.audit, run.evidence, run.witnesses, {}, {})) is None


def test_gradients_stand_side_by_side(runs: dict[str, Run], pages: dict[str, str]) -> None:
    both = side_by_side([runs["natural"], runs["grey"]])
    stored = [set(runs[k].inspection["index"].tolist()) for k in ("natural", "grey")]
    assert {x.index for x in both} == stored[0] & stored[1] != set()
    assert all(len(x.gradients) == 2 for x in both)
    assert "What the models look at" in pages["both"]
    assert ", natural" in pages["both"]
    assert side_by_side([runs["grey"], runs["tabular"]]) == []
    assert side_by_side([runs["grey"], runs["colour"]]) == []


def test_signs_have_colours_of_their_own() -> None:
    from base64 import b64decode
    from io import BytesIO

    from PIL import Image

    uri = signed_uri(np.array([[[-1.0, 0.0, 1.0]]]), 1.0)
    with Image.open(BytesIO(b64decode(uri.split(",")[1]))) as image:
        below, zero, above = np.asarray(image)[0].tolist()
    assert zero == [255, 255, 255]
    assert below[2] > below[0]
    assert above[0] > above[2]


BAD = {
    "samples.npz: lacks pred": ("samples.npz", {"pred": None}),
    "margin must have 8 entries": ("samples.npz", {"margin": np.zeros(3)}),
    "witness_pred must have 50 entries": ("samples.npz", {"witness_pred": np.zeros(3, int)}),
    "samples.npz: x must be floats": ("samples.npz", {"x": np.zeros((8, 2), int)}),
    "note must be a text": ("inspection.npz", {"note": np.zeros(2)}),
    "filters must have shape": ("inspection.npz", {"filters": np.zeros((2, 7, 3, 3))}),
    "x and gradient must have one shape": ("inspection.npz", {"gradient": np.zeros((8, 2))}),
    "inspection.npz: x must be floats": ("inspection.npz", {"x": None}),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_archives_say_what_is_wrong(message: str, runs: dict[str, Run], tmp_path: Path) -> None:
    from shutil import copytree

    name, change = BAD[message]
    folder = copytree(runs["grey"].folder, tmp_path / "run")
    with np.load(folder / name) as stored:
        arrays = {**stored, **change}
    np.savez(folder / name, **{k: v for k, v in arrays.items() if v is not None})
    with pytest.raises(BadData, match=message):
        Run.load(folder)
