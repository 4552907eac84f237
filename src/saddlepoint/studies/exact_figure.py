"""The figure: the smallest change of every image under both nets, and how far attacks are off."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from saddlepoint.studies.figure import FONTS
from saddlepoint.train.canvas import drawn
from saddlepoint.train.curves import CLEAN, INK, MUTED, ROBUST, SURFACE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_exact"]

# Told apart in grey too: colour and marker.
LOOKS = {"natural": (CLEAN, "s"), "adversarial": (ROBUST, "o")}
Rows = Sequence[Mapping[str, Any]]


def draw_exact(document: Mapping[str, Any]) -> dict[str, bytes]:
    """Draw the document of a study, finished or not.

    Left: per image, nearest first, the bracket of the distance under both nets, and as thin marks
    the distance of every attack. Right: how much further than the distance each attack is, image
    by image, and the mean. Returns ``{"exact.png": …, "exact.svg": …}``; equal documents give equal
    bytes.
    """
    return drawn("exact", (13.5, 5.2), lambda figure: _paint(figure, document), FONTS)


def _paint(figure: "Figure", document: Mapping[str, Any]) -> None:
    space: Any = {"left": 0.07, "right": 0.985, "bottom": 0.2, "top": 0.8, "wspace": 0.18}
    left, right = figure.subplots(1, 2, gridspec_kw={"width_ratios": (1.25, 1), **space})
    rows = document["cells"]
    _distances(left, rows)
    _ratios(right, rows)
    settings, data = document["settings"], document["data"]
    hidden = " and ".join(str(h) for h in settings["hidden"])
    said = f"{data['data']}, L∞, nets of {hidden} ReLUs"
    factor = document["factor"]
    if factor:
        said += f"; adversarial training multiplies the mean distance by {factor:.1f}"
    figure.text(0.07, 0.93, said, color=MUTED)


def _distances(axes: "Axes", rows: Rows) -> None:
    axes.set_title("Smallest change of each image", loc="left")
    natural = [row for row in rows if row["training"] == "natural"]
    order = {row["index"]: k for k, row in enumerate(sorted(natural, key=lambda r: r["upper"]), 1)}
    for name, (colour, marker) in LOOKS.items():
        mine = [row for row in rows if row["training"] == name and row["index"] in order]
        for row in mine:
            k = order[row["index"]]
            sizes = [size for size in row["attacks"].values() if size is not None]
            thin: Any = {"color": colour, "alpha": 0.6, "markersize": 9, "markeredgewidth": 1.2}
            axes.plot([k] * len(sizes), sizes, linestyle="", marker="_", **thin)
            axes.plot([k, k], [row["lower"], row["upper"]], color=colour, linewidth=2.2)
        edge: Any = {"markeredgecolor": SURFACE, "markeredgewidth": 1.0, "zorder": 3}
        x, y = [order[r["index"]] for r in mine], [r["upper"] for r in mine]
        label = f"{name}, exact"
        axes.plot(x, y, linestyle="", color=colour, marker=marker, label=label, **edge)
    axes.plot([], [], linestyle="", color=MUTED, marker="_", markersize=9, label="attacks")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("image, by its distance under the natural net")
    axes.set_ylabel("L∞ distance to the nearest break")
    axes.set_xticks([])
    axes.legend(loc="upper left", labelcolor=INK)


def _ratios(axes: "Axes", rows: Rows) -> None:
    axes.set_title("Attack distance over the exact one", loc="left")
    names = list(rows[0]["attacks"]) if rows else []
    for shift, (name, (colour, marker)) in zip((-0.14, 0.14), LOOKS.items(), strict=True):
        for k, attack in enumerate(names):
            mine = [row for row in rows if row["training"] == name]
            found = [(row["attacks"][attack], row["upper"]) for row in mine]
            ratios = [size / upper for size, upper in found if size is not None]
            look: Any = {"color": colour, "linestyle": "", "marker": marker}
            spread = [k + shift + 0.012 * (i % 7 - 3) for i in range(len(ratios))]
            axes.plot(spread, ratios, alpha=0.45, markersize=4.5, markeredgewidth=0, **look)
            if ratios:
                mean = sum(ratios) / len(ratios)
                axes.plot([k + shift - 0.1, k + shift + 0.1], [mean] * 2, color=colour)
                place: Any = {"xytext": (0, 5), "textcoords": "offset points", "ha": "center"}
                axes.annotate(f"{mean:.2f}", (k + shift, mean), color=colour, fontsize=9, **place)
    axes.axhline(1, color=MUTED, linewidth=1.2, linestyle=(0, (1, 2)), zorder=1)
    axes.set_yscale("log")
    axes.minorticks_off()
    axes.set_yticks([1, 1.1, 1.25, 1.5, 2], ["1", "1.1", "1.25", "1.5", "2"])
    axes.set_ylim(0.97, max(2.05, *axes.get_ylim()) if rows else 2.05)
    axes.set_xticks(range(len(names)), [n.replace(", ", ",\n") for n in names])
    axes.grid(axis="x", visible=False)
