"""The figure: per defence what was claimed and what is true, beside the undefended net."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from saddlepoint.studies.figure import FONTS
from saddlepoint.train.canvas import drawn
from saddlepoint.train.curves import CLEAN, GUARD, INK, MUTED, ROBUST, SURFACE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_arms"]

# Told apart in grey too: colour, marker, fill. (key, label, colour, marker)
SERIES = (
    ("undefended", "no defence, under attacks that know it", MUTED, "D"),
    ("claimed", "defended, under the attacks of its claim", CLEAN, "s"),
    ("true", "defended, under attacks that know it", ROBUST, "o"),
)
CHAINS = {
    1: "1  JSMA and softmax gradients → distillation → attacks on the logits",
    2: "2  FGSM → squeezing, ensembles, detectors → attacks that fool both at once",
}
Rows = Sequence[Mapping[str, Any]]


def draw_arms(document: Mapping[str, Any]) -> dict[str, bytes]:
    """Draw the document of a study, finished or not.

    One line per defence: robust accuracy with its 95 % interval of the undefended net, as claimed
    and in truth; at the right the health checks that flag the audit of the claim. Returns
    ``{"arms-race.png": …, "arms-race.svg": …}``; equal documents give equal bytes.
    """
    return drawn("arms-race", (13.5, 6.0), lambda figure: _paint(figure, document), FONTS)


def _paint(figure: "Figure", document: Mapping[str, Any]) -> None:
    rows, data = document["cells"], document["data"]
    space: Any = {"left": 0.2, "right": 0.66, "bottom": 0.2, "top": 0.87}
    axes = figure.subplots(gridspec_kw=space)
    places = _places(rows)
    for row in rows:
        _row(axes, row, places[row["name"]])
    for chain, title in CHAINS.items():
        mine = [places[row["name"]] for row in rows if row["chain"] == chain]
        if mine:
            axes.text(-0.42, min(mine) - 0.62, title, color=INK, fontsize=12, fontweight="bold")
    _axis(axes, rows, places)
    for _, label, colour, marker in SERIES:
        axes.plot([], [], linestyle="", marker=marker, color=colour, label=label)
    box: Any = {"loc": "upper left", "bbox_to_anchor": (-0.43, -0.12), "ncols": 3}
    axes.legend(labelcolor=INK, columnspacing=1.4, handletextpad=0.3, **box)
    figure.text(0.67, 0.835, "what flags the audit of the claim", color=MUTED)
    said = f"{data['data']}, first {data['test_samples']:,} test samples; bars are 95 % intervals"
    figure.text(0.012, 0.955, said, color=MUTED)


def _places(rows: Rows) -> dict[str, float]:
    """Heights from above, with room for a title before each chain."""
    places, y, last = {}, 0.0, None
    for row in rows:
        y += 0.0 if last is None else 1.0 if row["chain"] == last else 1.9
        places[row["name"]], last = y, row["chain"]
    return places


def _row(axes: "Axes", row: Mapping[str, Any], y: float) -> None:
    from textwrap import fill

    ends = [row[key]["accuracy"] for key, *_ in SERIES[1:]]
    axes.plot(ends, [y, y], color=GUARD, linewidth=1.4, zorder=2)
    for (key, _, colour, marker), shift in zip(SERIES, (0.22, 0.0, 0.0), strict=True):
        low, high = row[key]["interval"]
        axes.plot([low, high], [y + shift] * 2, color=colour, alpha=0.45, linewidth=3, zorder=1)
        edge: Any = {"markeredgecolor": SURFACE, "markeredgewidth": 1.2, "clip_on": False}
        value = row[key]["accuracy"]
        axes.plot([value], [y + shift], marker=marker, color=colour, zorder=3, **edge)
    flags = ", ".join(name.rpartition(":")[0] for name in row["flagged"]["claimed"])
    axes.text(1.03, y, fill(flags or "nothing", 52), color=INK, fontsize=9.5, va="center")


def _axis(axes: "Axes", rows: Rows, places: Mapping[str, float]) -> None:
    axes.set_xlim(-0.01, 1.01)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    names = [f"{row['name'].partition(',')[0]}, {row['threat']}" for row in rows]
    axes.set_yticks([places[row["name"]] for row in rows], names)
    axes.tick_params(axis="y", labelcolor=INK, length=0)
    axes.set_ylim(max(places.values(), default=0) + 0.6, -1.0)
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("robust accuracy")
