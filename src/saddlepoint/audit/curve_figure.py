"""The curve as a picture: accuracy against the radius, its band, and the median distance."""

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from saddlepoint.train.canvas import drawn
from saddlepoint.train.curves import INK, MUTED, ROBUST

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_curve", "framed"]

FONTS = {"font.size": 11.0, "axes.labelsize": 11.5, "lines.linewidth": 2.2}
MEASURES = {"Linf": "L∞", "L2": "L2", "L1": "L1", "L0": "L0"}


def draw_curve(document: Mapping[str, Any]) -> dict[str, bytes]:
    """Draw a curve.json; the dark band is pointwise, the light one simultaneous.

    Returns ``{"curve.png": …, "curve.svg": …}``; equal documents give equal bytes.
    """

    def paint(axes: "Axes") -> None:
        _paint(axes, document)
        _words(axes, document)

    return framed("curve", paint)


def framed(name: str, paint: Callable[["Axes"], None]) -> dict[str, bytes]:
    """Let ``paint`` fill one pair of axes in the house look; returns name.png and name.svg."""

    def fill(figure: "Figure") -> None:
        place: Any = {"left": 0.1, "right": 0.97, "bottom": 0.125, "top": 0.8}
        paint(figure.add_subplot(figure.add_gridspec(1, 1, **place)[0, 0]))

    return drawn(name, (7.6, 4.6), fill, FONTS)


def _paint(axes: "Axes", d: Mapping[str, Any]) -> None:
    eps, share = d["eps"], f"{100 * d['confidence']:g} %"
    look: Any = {"color": ROBUST, "linewidth": 0}
    wide, narrow = d["simultaneous"], d["pointwise"]
    whole = f"{share} band for the whole curve"
    axes.fill_between(eps, wide["low"], wide["high"], alpha=0.1, label=whole, **look)
    each = f"{share} interval at each radius"
    axes.fill_between(eps, narrow["low"], narrow["high"], alpha=0.24, label=each, **look)
    axes.plot(eps, d["accuracy"], color=ROBUST, label="robust accuracy, at most", clip_on=False)
    axes.set_xlim(0, eps[-1])
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    axes.set_xlabel(f"radius ε of the change, {MEASURES.get(d['threat']['name'], 'size')}")
    _median(axes, d["distance"]["median"], eps[-1])


def _median(axes: "Axes", median: float | None, last: float) -> None:
    if not median or not math.isfinite(median):
        return
    line: Any = {"color": MUTED, "linewidth": 1.2, "linestyle": (0, (3, 3)), "zorder": 1}
    axes.plot([median, median], [0, 0.5], **line)
    side = "right" if median > 0.7 * last else "left"
    shift: Any = {"xytext": (-6 if side == "right" else 6, 6), "textcoords": "offset points"}
    said = f"half are broken within {median:.3g}"
    axes.annotate(said, (median, 0), color=MUTED, fontsize=10, ha=side, **shift)


def _words(axes: "Axes", d: Mapping[str, Any]) -> None:
    figure, left = axes.figure, axes.get_position().x0
    figure.text(left, 0.935, "Robust accuracy against radius", fontsize=13, fontweight="bold")
    said = f"{d['model']['name']}, {d['data']['name']}, n = {d['n']:,}, {d['attack']}"
    figure.text(left, 0.885, said, fontsize=10, color=MUTED)
    spaces: Any = {"handlelength": 1.6, "columnspacing": 1.4, "handletextpad": 0.6}
    order = (2, 1, 0)
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(
        [handles[i] for i in order],
        [labels[i] for i in order],
        loc="lower left",
        bbox_to_anchor=(-0.01, 1.0),
        ncols=3,
        fontsize=9.5,
        labelcolor=INK,
        borderpad=0.2,
        borderaxespad=0.2,
        **spaces,
    )
