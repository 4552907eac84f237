"""The figure: what each attack leaves of three nets, and images that the natural one lost."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from saddlepoint.studies.figure import FONTS
from saddlepoint.train.canvas import drawn
from saddlepoint.train.curves import CLEAN, GUARD, INK, LOSS, MUTED, OWN, ROBUST, SURFACE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_spatial"]

TITLES = {
    "natural": "natural training",
    "augmented": "random members",
    "worst-of-k": "worst of {tries}",
}
# Told apart in grey too: colour and hatching.
BARS: dict[str, tuple[str, str, str]] = {
    "clean": ("unperturbed", CLEAN, ""),
    "random": ("one random member", OWN, "//"),
    "worst_of": ("worst of ten", LOSS, "\\\\"),
    "first_order": ("along gradients, {steps} steps", GUARD, "xx"),
    "grid": ("the published grid", ROBUST, ""),
    "refined": ("grid, refined", INK, ".."),
}
Rows = Sequence[Mapping[str, Any]]


def draw_spatial(document: Mapping[str, Any]) -> dict[str, bytes]:
    """Draw the document of a study, finished or not.

    Left: accuracy of each net, unperturbed and under each attack; whiskers are 95 % intervals.
    Right: test images that the natural net gets right, above what it gets wrong. Returns
    ``{"spatial.png": …, "spatial.svg": …}``; equal documents give equal bytes.
    """
    return drawn("spatial", (13.5, 5.0), lambda figure: _paint(figure, document), FONTS)


def _paint(figure: "Figure", document: Mapping[str, Any]) -> None:
    rows, settings, data = document["cells"], document["settings"], document["data"]
    left = figure.add_axes((0.06, 0.25, 0.47, 0.55))
    _bars(left, rows, settings)
    said = f"{data['data']}, ±{settings['degrees']:g} degrees, ±{settings['pixels']:g} pixels, "
    said += f"{data['test_samples']:,} test samples; whiskers are 95 % intervals"
    figure.text(0.06, 0.93, said, color=MUTED)
    natural = [row for row in rows if row["training"] == "natural"]
    _examples(figure, natural[0]["examples"] if natural else [])


def _bars(axes: "Axes", rows: Rows, settings: Mapping[str, Any]) -> None:
    from matplotlib.patches import Patch

    axes.set_title("Accuracy that is left", loc="left")
    wide, keys = 0.8 / len(BARS), []
    for k, (key, (label, colour, hatch)) in enumerate(BARS.items()):
        look: Any = {"facecolor": colour, "hatch": hatch, "edgecolor": SURFACE}
        keys.append(Patch(label=label.format(**settings), **look))
        for i, training in enumerate(TITLES):
            mine = [r for r in rows if r["training"] == training and r["status"] == "complete"]
            for row in mine:
                value, (low, high) = row[key]["accuracy"], row[key]["interval"]
                at = i - 0.4 + (k + 0.5) * wide
                axes.bar(at, value, wide * 0.92, **look)
                ends = [[max(0, value - low)], [max(0, high - value)]]
                axes.errorbar(at, value, ends, color=MUTED, linewidth=1.1, capsize=2)
                place: Any = {"xytext": (0, 6), "textcoords": "offset points", "ha": "center"}
                axes.annotate(f"{100 * value:.0f}", (at, high), color=MUTED, fontsize=9, **place)
    axes.set_ylim(0, 1.12)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    names = [title.format(**settings) for title in TITLES.values()]
    axes.set_xticks(range(len(names)), names)
    axes.set_xlim(-0.55, len(names) - 0.45)
    axes.grid(axis="x", visible=False)
    place = {"loc": "upper left", "bbox_to_anchor": (-0.02, -0.12), "borderaxespad": 0}
    spaces: Any = {"columnspacing": 1.2, "handlelength": 1.8, "handleheight": 1.1, "fontsize": 10.5}
    axes.legend(handles=keys, ncols=3, labelcolor=INK, **spaces, **place)


def _examples(figure: "Figure", examples: Rows) -> None:
    figure.text(0.565, 0.835, "Lost by the natural net", color=INK, fontsize=13, weight="bold")
    count = max(1, len(examples))
    wide = 0.425 / count
    for i, one in enumerate(examples):
        for row, (key, label, verb) in enumerate(
            (("before", "label", "is"), ("after", "prediction", "called"))
        ):
            box = (0.565 + i * wide, 0.52 - 0.33 * row, wide * 0.94, 0.26)
            axes = figure.add_axes(box)
            axes.imshow(_picture(one, key), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axes.set_axis_off()
            axes.set_title(f"{verb} {one[label]}", fontsize=10, weight="normal", pad=3)
        angle, across, down = one["degrees_and_pixels"]
        words = f"{angle:+.0f}°\n{across:+.1f}, {down:+.1f}"
        place: Any = {"ha": "center", "color": MUTED, "fontsize": 9}
        figure.text(0.565 + (i + 0.47) * wide, 0.105, words, **place)
    if examples:
        said = "below: the turn, and the shift right and down in pixels"
        figure.text(0.565, 0.03, said, color=MUTED, fontsize=10.5)


def _picture(one: Mapping[str, Any], key: str) -> "np.ndarray[Any, Any]":
    shape = one["shape"]
    values = np.frombuffer(bytes.fromhex(one[key]), dtype=np.uint8).reshape(shape)
    return values[0] if shape[0] != 3 else values.transpose(1, 2, 0)
