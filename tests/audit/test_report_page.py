"""The page: sections that come and go, nothing from outside, equal bytes for equal runs."""

import ast
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from saddlepoint.audit import report
from saddlepoint.audit.report import Run, write_report
from saddlepoint.audit.report.pictures import magnification, png
from saddlepoint.core.errors import Invalid
from tests.audit.test_report_runs import Fake, make_run

EVIL = "<script>alert('$x')</script>&\"'.safetensors"
FAKES = {
    "grey": Fake(name="adversarial.safetensors"),
    "other": Fake(name="natural.safetensors", robust=14, seed=1, gallery=2),
    "colour": Fake(shape=(3, 16, 16), eps=8 / 255, errors=2, not_run=20, gallery=3, figures=False),
    "tabular": Fake(shape=(30,), eps=0.05, gallery=3, figures=False),
    "bare": Fake(robust=200, wrong=0, gallery=0, figures=False),
    "evil": Fake(name=EVIL, data=EVIL, gallery=1, figures=False),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    root = tmp_path_factory.mktemp("runs")
    return {name: Run.load(make_run(root / name, fake)) for name, fake in FAKES.items()}


@pytest.fixture(scope="module")
def pages(runs: dict[str, Run], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("pages")
    made = {name: write_report([run], root / f"{name}.html") for name, run in runs.items()}
    made["two"] = write_report([runs["other"], runs["grey"]], root / "two.html")
    return {name: path.read_text(encoding="utf-8") for name, path in made.items()}


class Outline(HTMLParser):
    """Collects headings, ids and unclosed elements."""

    VOID = frozenset({"meta", "img", "br", "line", "circle", "rect", "path", "use"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.levels: list[int] = []
        self.ids: list[str] = []
        self.refs: list[str] = []
        self.alts: list[bool] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if re.fullmatch(r"h[1-6]", tag):
            self.levels.append(int(tag[1]))
        if named.get("id"):
            self.ids.append(str(named["id"]))
        if str(named.get("href", "")).startswith("#"):
            self.refs.append(str(named["href"])[1:])
        if tag == "img":
            self.alts.append(bool(named.get("alt")))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def titles(page: str) -> list[str]:
    return re.findall(r"<h[23][^>]*>([^<]*)</h[23]>", page)


ALWAYS = ["Verdict", "Threat model", "Attacks", "Findings", "What was not tested"]


@pytest.mark.parametrize("name", FAKES)
def test_every_report_has_what_it_must(name: str, pages: dict[str, str]) -> None:
    shown = titles(pages[name])
    assert [t for t in shown if t in ALWAYS] == ALWAYS
    assert shown[-2:] == ["Cost and record", "How to read this"]
    assert "saddlepoint replay" in pages[name]
    assert (
        "over <strong>all</strong>" in pages[name] or "<strong>all</strong> samples" in pages[name]
    )


def test_sections_follow_the_data(pages: dict[str, str]) -> None:
    optional = {"Curves", "Witnesses", "The loss the attacks climb"}
    assert optional <= set(titles(pages["grey"]))
    assert not optional & set(titles(pages["bare"]))
    assert optional & set(titles(pages["tabular"])) == {"Witnesses"}


@pytest.mark.parametrize("key", ["eps_curve", "steps_curve", "landscape", "maxima"])
def test_any_figure_may_be_missing(key: str, runs: dict[str, Run], tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", Fake(gallery=0))
    figures = json.loads((folder / "figures.json").read_text())
    only = {"n": 64, key: figures[key]}
    (folder / "figures.json").write_text(json.dumps(only))
    page = write_report([Run.load(folder)], tmp_path / "r.html").read_text()
    found = {
        "eps_curve": "Accuracy against the radius" in page,
        "steps_curve": "Accuracy against the attack" in page,
        "landscape": "Loss along two directions" in page,
        "maxima": "Local maxima over restarts" in page,
    }
    assert [name for name, present in found.items() if present] == [key]


def test_a_model_that_always_falls_is_drawn_too(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", Fake(robust=0, wrong=200, gallery=0, figures=False))
    page = write_report([Run.load(folder)], tmp_path / "r.html").read_text()
    assert "all 200 were broken" in page
    assert "every class keeps at most 0.0" in page


def test_gaps_in_figures_are_drawn_as_gaps(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", Fake(gallery=0))
    figures = json.loads((folder / "figures.json").read_text())
    figures["eps_curve"]["accuracy"][2] = None
    figures["maxima"]["values"][0] = [float("nan"), 1.0] + [2.0] * 100
    figures["maxima"]["values"][1] = []
    (folder / "figures.json").write_text(json.dumps(figures))
    page = write_report([Run.load(folder)], tmp_path / "r.html").read_text()
    assert "60 dots per row are shown" in page


@pytest.mark.parametrize("name", [*FAKES, "two"])
def test_nothing_comes_from_outside_or_runs(name: str, pages: dict[str, str]) -> None:
    page = pages[name]
    assert "<script" not in page.lower()
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\((?!#)|javascript:", page, re.IGNORECASE)
    assert not re.search(r"<[^>]*\son\w+=", page)
    assert all(source.startswith("data:image/png") for source in re.findall(r'src="([^"]*)', page))


@pytest.mark.parametrize("name", [*FAKES, "two"])
def test_the_page_is_well_formed(name: str, pages: dict[str, str]) -> None:
    outline = Outline(pages[name])
    assert outline.open == []
    assert len(outline.ids) == len(set(outline.ids))
    assert set(outline.refs) <= set(outline.ids)
    assert all(outline.alts)
    assert outline.levels[0] == 1
    assert all(b - a <= 1 for a, b in zip(outline.levels, outline.levels[1:], strict=False))
    labels = re.findall(r'aria-labelledby="([^"]+)"', pages[name])
    assert set(labels) <= set(outline.ids)


def test_names_are_escaped(pages: dict[str, str]) -> None:
    assert "&lt;script&gt;alert" in pages["evil"]
    assert re.search(r"<title>Robustness of &lt;script", pages["evil"])


def test_charts_follow_the_page(pages: dict[str, str]) -> None:
    for svg in re.findall(r"<svg.*?</svg>", pages["grey"], re.DOTALL):
        assert "#0a1b" not in svg
        assert "DejaVu" not in svg
        assert "<style" not in svg
    assert "var(--s1)" in pages["grey"]
    assert "prefers-color-scheme: dark" in pages["grey"]


def test_partial_runs_and_errors_are_loud(pages: dict[str, str]) -> None:
    assert "This run is partial" in pages["colour"]
    assert "2 images are inconclusive" in pages["colour"]
    assert "non-finite gradient at step 3" in pages["colour"]
    assert 'role="note"' not in pages["grey"]


def test_tampering_is_noticed(runs: dict[str, Run], tmp_path: Path) -> None:
    counts = {**runs["bare"].audit["counts"], "broken": 7}
    folder = make_run(tmp_path / "run", Fake(gallery=0, figures=False), counts=counts)
    page = write_report([Run.load(folder)], tmp_path / "r.html").read_text()
    assert "Do not rely on this report" in page


def test_two_runs_are_compared_first(pages: dict[str, str]) -> None:
    shown = titles(pages["two"])
    assert shown[0] == "Comparison"
    assert shown.count("Verdict") == 2
    assert "68.0 points ahead" in pages["two"]
    assert "exact McNemar test" in pages["two"]
    assert pages["two"].index("Comparison") < pages["two"].index('id="r1"')


def test_equal_runs_give_equal_bytes(
    runs: dict[str, Run], pages: dict[str, str], tmp_path: Path
) -> None:
    again = write_report([runs["other"], runs["grey"]], tmp_path / "r.html")
    assert again.read_text(encoding="utf-8") == pages["two"]


def test_the_users_matplotlib_settings_neither_matter_nor_change(
    runs: dict[str, Run], pages: dict[str, str], tmp_path: Path
) -> None:
    import matplotlib as mpl

    with mpl.rc_context({"axes.facecolor": "red", "font.size": 40}):
        before = mpl.rcParams.copy()
        made = write_report([runs["tabular"]], tmp_path / "r.html")
        assert mpl.rcParams.copy() == before
    assert made.read_text(encoding="utf-8") == pages["tabular"]


def test_heavy_imports_wait_until_a_report_is_written() -> None:
    for source in Path(report.__file__).parent.glob("*.py"):
        for node in ast.parse(source.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                assert not re.search("matplotlib|jinja2|markupsafe|torch", ast.unparse(node))


def test_pyplot_stays_out(
    runs: dict[str, Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # importing it would now fail
    assert write_report([runs["bare"]], tmp_path / "r.html").exists()


def test_where_a_report_may_be_written(runs: dict[str, Run], tmp_path: Path) -> None:
    made = write_report([runs["bare"]], tmp_path / "new" / "r.html", title="Spring & audit")
    assert "<h1>Spring &amp; audit</h1>" in made.read_text()
    assert [p.name for p in made.parent.iterdir()] == ["r.html"]
    with pytest.raises(Invalid, match="a file, not a folder"):
        write_report([runs["bare"]], tmp_path)
    with pytest.raises(Invalid, match="at least one run"):
        write_report([], tmp_path / "r.html")


def test_half_a_surrogate_cannot_stop_a_report(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", Fake(name="net\ud800", gallery=0, figures=False))
    assert "net\\ud800" in write_report([Run.load(folder)], tmp_path / "r.html").read_text()


def test_png_is_what_others_read() -> None:
    from io import BytesIO

    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for channels in (1, 3):
        pixels = rng.integers(0, 256, (5, 7, channels), dtype=np.uint8)
        with Image.open(BytesIO(png(pixels))) as image:
            assert np.array_equal(np.asarray(image).reshape(pixels.shape), pixels)
    assert magnification(np.zeros(2), np.zeros(2)) == 1.0
    assert magnification(np.zeros(2), np.full(2, 8 / 255)) == 15
