"""The figure: a table of accuracies for each net, one row per corruption, shaded by their size."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from saddlepoint.studies.figure import FONTS
from saddlepoint.train.canvas import drawn
from saddlepoint.train.curves import INK, MUTED, SURFACE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_corruptions"]

Rows = Sequence[Mapping[str, Any]]
_TITLES = {"natural": "Natural training", "noise": "Trained on noise", "adversarial": "Adversarial"}


def draw_corruptions(document: Mapping[str, Any]) -> dict[str, bytes]:
    """Draw the document of a study, finished or not.

    A panel per net: accuracy in percent by corruption and severity, the mean over severities in the
    last column. Returns ``{"corruptions.png": …, "corruptions.svg": …}``; equal documents give
    equal bytes.
    """
    nets = list(dict.fromkeys(row["net"] for row in document["cells"]))
    nets.sort(key=lambda net: list(document["nets"]).index(net) if net in document["nets"] else 99)
    names = document["settings"]["names"]
    wide = 2.4 + max(1, len(nets)) * (0.62 * len(document["settings"]["severities"]) + 1.1)
    size = (max(wide, 6), 1.9 + 0.36 * len(names))
    fonts = FONTS | {"font.size": 10.5, "axes.grid": False}
    return drawn("corruptions", size, lambda figure: _paint(figure, document, nets), fonts)


def _paint(figure: "Figure", document: Mapping[str, Any], nets: list[str]) -> None:
    height = figure.get_figheight()
    wide = figure.get_figwidth()
    space: Any = {"left": 1.55 / wide, "right": 1 - 0.2 / wide, "wspace": 0.08}
    space |= {"bottom": 0.55 / height, "top": 1 - 1.15 / height}
    panels = figure.subplots(1, max(1, len(nets)), squeeze=False, gridspec_kw=space)[0]
    for k, axes in enumerate(panels):
        rows = [row for row in document["cells"] if nets and row["net"] == nets[k]]
        _panel(axes, document, rows)
        axes.set_title(_TITLES.get(nets[k], nets[k]) if nets else "", loc="left", pad=26)
        said = document["nets"].get(nets[k]) if nets else None
        if said and said["mean"] is not None:
            words = f"clean {100 * said['clean']:.1f}, mean {100 * said['mean']:.1f}"
            words += f", all at once {100 * said['all']:.1f}"
            axes.text(-0.5, -0.85, words, color=MUTED, fontsize=10)
        if k:
            axes.set_yticklabels([])
    data = document["data"]
    title = f"{data['data']}, accuracy in percent of {data['test_samples']:,} test images"
    figure.text(0.2 / wide, 1 - 0.35 / height, title, color=INK, weight="bold", fontsize=12)


def _panel(axes: "Axes", document: Mapping[str, Any], rows: Rows) -> None:
    """Shade and label every cell, and the mean of each row."""
    names, severities = document["settings"]["names"], document["settings"]["severities"]
    table = {(row["corruption"], row["severity"]): row["accuracy"] for row in rows}
    for i, name in enumerate(names):
        values = [table.get((name, s)) for s in severities]
        known = [v for v in values if v is not None]
        mean = sum(known) / len(known) if known and len(known) == len(values) else None
        for j, value in enumerate([*values, mean]):
            _cell(axes, i, j + (0.25 if j == len(values) else 0), value)
    axes.set_xlim(-0.5, len(severities) + 0.75)
    axes.set_ylim(len(names) - 0.5, -0.5)
    places = [*range(len(severities)), len(severities) + 0.25]
    axes.set_xticks(places, [f"{s:g}" for s in severities] + ["mean"])
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    axes.tick_params(length=0)
    axes.set_xlabel("severity", loc="left")
    for spine in axes.spines.values():
        spine.set_visible(False)


def _cell(axes: "Axes", row: int, column: float, value: float | None) -> None:
    """Draw one square: the darker, the more is lost."""
    from matplotlib.patches import Rectangle

    if value is None:
        return
    lost = 1 - value
    low, high = (0.955, 0.965, 0.98), (0.52, 0.17, 0.11)
    shade = tuple(a + (b - a) * lost**0.8 for a, b in zip(low, high, strict=True))
    axes.add_patch(
        Rectangle((column - 0.48, row - 0.46), 0.96, 0.92, facecolor=shade, edgecolor="none")
    )
    ink = SURFACE if lost > 0.45 else INK
    axes.text(column, row, f"{100 * value:.0f}", ha="center", va="center", color=ink, fontsize=10)
