"""The figure: three panels of accuracy, one per training, and one of the loss, against width."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from saddlepoint.train.canvas import drawn
from saddlepoint.train.curves import CLEAN, GUARD, INK, MUTED, OWN, ROBUST, SURFACE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

__all__ = ["draw_capacity"]

TITLES = {"natural": "Natural training", "fgsm": "FGSM training", "pgd": "PGD training"}
# Told apart in grey too: colour, line style, marker. One look each for what is asked of a net in
# the first three panels, and for what it was trained on in the last.
LOOKS: dict[str, tuple[str, Any, str]] = {
    "natural": (CLEAN, (0, (6, 2.5)), "s"),
    "fgsm": (OWN, (0, (2, 1.5)), "^"),
    "pgd": (ROBUST, "solid", "o"),
}
MEASURED = {"natural": "clean", "fgsm": "fgsm", "pgd": "pgd"}
FONTS = {
    "font.size": 11.5,
    "axes.titlesize": 13.0,
    "axes.titleweight": "bold",
    "axes.titlepad": 12.0,
    "axes.labelsize": 12.0,
    "lines.linewidth": 2.2,
    "lines.markersize": 7.0,
}
Rows = Sequence[Mapping[str, Any]]


def draw_capacity(document: Mapping[str, Any]) -> dict[str, bytes]:
    """Draw the document of a study, finished or not, after figure 4 of 1706.06083.

    Bands are 95 % intervals, the dotted line is the accuracy of always naming the most frequent
    class, a cross on the axis marks a training that diverged. Returns ``{"capacity.png": …,
    "capacity.svg": …}``; equal documents give equal bytes.
    """
    return drawn("capacity", (15.5, 4.9), lambda figure: _paint(figure, document), FONTS)


def _paint(figure: "Figure", document: Mapping[str, Any]) -> None:
    rows, settings, data = document["cells"], document["settings"], document["data"]
    space: Any = {"left": 0.062, "right": 0.988, "bottom": 0.25, "top": 0.815, "wspace": 0.1}
    grid = figure.add_gridspec(1, 5, width_ratios=(1, 1, 1, 0.1, 1), **space)
    panels = [figure.add_subplot(grid[0, i]) for i in (0, 1, 2, 4)]
    for axes, training in zip(panels, TITLES, strict=False):
        _accuracy(axes, [r for r in rows if r["training"] == training], data)
        axes.set_title(TITLES[training], loc="left")
        axes.tick_params(labelleft=axes is panels[0])
    panels[0].set_ylabel("accuracy")
    _loss(panels[3], rows)
    for axes in panels:
        _width_axis(axes, sorted({row["multiplier"] for row in rows}))
    said = f"{data['data']}, L∞ with ε = {settings['eps']:g}, {data['test_samples']:,} test samples"
    figure.text(0.062, 0.945, f"{said}; bands are 95 % intervals", color=MUTED)
    words = ("unperturbed", "under FGSM", f"under PGD, {settings['test_steps']} steps")
    dots: Any = {"color": MUTED, "linewidth": 1.2, "linestyle": (0, (1, 2))}
    constant = _entry("always the most frequent class", dots)
    _legend(panels[0], "left", [*_entries(words), constant])
    _legend(panels[3], "right", _entries(("natural", "FGSM", "PGD")))


def _width_axis(axes: "Axes", widths: Sequence[int]) -> None:
    axes.set_xscale("log", base=2)
    low, high = (widths[0], widths[-1]) if widths else (1, 16)
    axes.set_xlim(low / 1.25, high * 1.25)
    axes.set_xticks(widths, [str(w) for w in widths])
    axes.minorticks_off()
    axes.grid(axis="x", visible=False)
    axes.set_xlabel("capacity scale")


def _line(axes: "Axes", rows: Rows, name: str, y: Sequence[float]) -> None:
    colour, dashes, marker = LOOKS[name]
    edge: Any = {"markeredgecolor": SURFACE, "markeredgewidth": 1.2, "clip_on": False, "zorder": 3}
    axes.plot(
        [r["multiplier"] for r in rows], y, color=colour, linestyle=dashes, marker=marker, **edge
    )


def _diverged(axes: "Axes", rows: Rows) -> None:
    x = [r["multiplier"] for r in rows if r["status"] == "diverged"]
    place: Any = {"transform": axes.get_xaxis_transform(), "clip_on": False, "zorder": 4}
    cross: Any = {"marker": "X", "markersize": 11, "markeredgecolor": SURFACE}
    axes.plot(x, [0] * len(x), linestyle="", color=GUARD, **cross, **place)
    if x:
        words: Any = {"xytext": (0, 10), "textcoords": "offset points", "ha": "center"}
        across = axes.get_xaxis_transform()
        axes.annotate("diverged", (x[0], 0), xycoords=across, color=GUARD, fontsize=10, **words)


def _accuracy(axes: "Axes", rows: Rows, data: Mapping[str, Any]) -> None:
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    share = data["majority"]
    axes.axhline(share, color=MUTED, linewidth=1.2, linestyle=(0, (1, 2)), zorder=1)
    x = [r["multiplier"] for r in rows]
    for name, key in MEASURED.items():
        none = (math.nan, math.nan)
        ends = [r[key]["interval"] if r[key] else none for r in rows]
        low, high = [e[0] for e in ends], [e[1] for e in ends]
        axes.fill_between(x, low, high, color=LOOKS[name][0], alpha=0.16, linewidth=0)
        # A diverged cell is a gap in the line, not a bridge over it.
        _line(axes, rows, name, [r[key]["accuracy"] if r[key] else math.nan for r in rows])
    _diverged(axes, rows)


def _loss(axes: "Axes", rows: Rows) -> None:
    axes.set_title("Training loss, last epoch", loc="left")
    for training in TITLES:
        mine = [r for r in rows if r["training"] == training]
        losses = [r["final_loss"] for r in mine]
        _line(axes, mine, training, [math.nan if v is None else v for v in losses])
    known = [v for r in rows if (v := r["final_loss"]) is not None]
    if known and min(known) > 0:
        _log_axis(axes, min(known), max(known))
    _diverged(axes, [r for r in rows if r["status"] == "diverged"])


def _log_axis(axes: "Axes", low: float, high: float) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator

    axes.set_yscale("log")
    # A decade at least: nets that have all learnt nothing differ in the third digit only.
    axes.set_ylim(min(low / 1.4, high / 8), high * 1.4)
    decades = math.log10(high / low)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 3) if decades < 3 else (1,)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    axes.minorticks_off()


def _entry(text: str, look: Mapping[str, Any]) -> "Line2D":
    from matplotlib.lines import Line2D

    return Line2D([], [], label=text, **look)


def _entries(words: Sequence[str]) -> list["Line2D"]:
    looks = zip(words, LOOKS.values(), strict=True)
    names = ("color", "linestyle", "marker")
    return [_entry(text, dict(zip(names, look, strict=True))) for text, look in looks]


def _legend(axes: "Axes", side: str, handles: Sequence["Line2D"]) -> None:
    """Put one line of keys below ``axes``, flush with its left or right edge."""
    box = axes.get_position()
    edge = box.x0 if side == "left" else box.x1
    place: Any = {"loc": f"upper {side}", "bbox_to_anchor": (edge, 0.095), "borderaxespad": 0}
    spaces: Any = {"handlelength": 3.0, "columnspacing": 1.4, "handletextpad": 0.6, "borderpad": 0}
    keys = {"handles": handles, "ncols": len(handles), "labelcolor": INK}
    axes.figure.legend(**keys, **spaces, **place)
