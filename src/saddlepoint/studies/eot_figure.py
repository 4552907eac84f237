"""The figure: the same witnesses in the same random views, and how often every image's hold."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from saddlepoint.studies.eot_plan import METHODS, SCENES
from saddlepoint.studies.figure import FONTS
from saddlepoint.train.canvas import drawn
from saddlepoint.train.curves import CLEAN, GUARD, INK, LOSS, MUTED, OWN, ROBUST, SURFACE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_eot"]

WORDS = {
    "original": "original",
    "smallest": "one view,\nsmallest",
    "pushed": "one view,\npushed",
    "eot": "all views",
}
LEGEND = {
    "original": "original",
    "smallest": "one view, smallest",
    "pushed": "one view, pushed",
    "eot": "all views",
}
# Told apart in grey too: colour, line style.
LOOKS: dict[str, tuple[str, Any]] = {
    "original": (OWN, (0, (2, 1.5))),
    "smallest": (LOSS, (0, (5, 1.5, 1, 1.5))),
    "pushed": (CLEAN, (0, (6, 2.5))),
    "eot": (ROBUST, "solid"),
}
Document = Mapping[str, Any]
Strip = Mapping[str, "np.ndarray[Any, Any]"]


def draw_eot(document: Document, strips: Mapping[str, Strip]) -> dict[str, bytes]:
    """Draw a row for each scene: a strip of views, and success rates image by image.

    Left: an image and three witnesses of its target, in the fixed view and in the same random ones,
    with the class that the net names; framed where that is the target. Right: the share of fresh
    views taken for the target, images in order of it. Returns ``{"eot.png": …, "eot.svg": …}``;
    equal arguments give equal bytes.
    """
    size = (15.0, 4.9 * max(1, len(strips)) + 0.7)
    return drawn("eot", size, lambda figure: _paint(figure, document, strips), FONTS)


def _paint(figure: "Figure", document: Document, strips: Mapping[str, Strip]) -> None:
    scenes = [scene for scene in SCENES if scene.name in strips]
    inches = figure.get_figheight()
    edges: Any = {"left": 0.075, "right": 0.985, "bottom": 1.0 / inches, "top": 1 - 0.9 / inches}
    outer = figure.add_gridspec(
        max(1, len(scenes)), 2, width_ratios=(2.5, 1), wspace=0.13, hspace=0.36, **edges
    )
    settings, data = document["settings"], document["data"]
    said = f"{data['data']}, L∞ with ε = {settings['eps']:g} on the picture or texture, targeted"
    figure.text(0.012, 1 - 0.3 / inches, said, color=MUTED)
    for i, scene in enumerate(scenes):
        _strip(figure, outer[i, 0], strips[scene.name], f"Seen as {scene.about}")
        axes = figure.add_subplot(outer[i, 1])
        rows = [row for row in document["cells"] if row["scene"] == scene.name]
        _rates(axes, rows, settings["trials"])


def _strip(figure: "Figure", place: Any, strip: Strip, title: str) -> None:  # noqa: ANN401
    pictures, said = strip["pictures"], strip["said"]
    count = pictures.shape[1]
    grid = place.subgridspec(len(METHODS), count, wspace=0.06, hspace=0.06)
    for i, name in enumerate(METHODS):
        for k in range(count):
            axes = figure.add_subplot(grid[i, k])
            _picture(axes, pictures[i, k], int(said[i, k]), int(strip["target"][0]))
            if i == 0:
                axes.set_title("fixed view" if k == 0 else "", fontsize=9.5, color=MUTED, pad=3)
            if k == 0:
                axes.set_ylabel(WORDS[name], color=INK, fontsize=10.5)
    box = place.get_position(figure)
    label, target = int(strip["label"][0]), int(strip["target"][0])
    words = f"{title}: a {label}, to be taken for a {target}"
    figure.text(box.x0, box.y1 + 0.26 / figure.get_figheight(), words, fontweight="bold", color=INK)


def _picture(axes: "Axes", picture: "np.ndarray[Any, Any]", said: int, target: int) -> None:
    shown = picture[0] if len(picture) == 1 else np.moveaxis(picture, 0, -1)
    axes.imshow(shown, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    hit = said == target
    for spine in axes.spines.values():
        spine.set(visible=True, color=GUARD if hit else SURFACE, linewidth=3.0 if hit else 0.0)
    at: Any = {"transform": axes.transAxes, "ha": "right", "va": "bottom", "fontsize": 9.5}
    back: Any = {"facecolor": SURFACE, "edgecolor": "none", "pad": 1.2, "alpha": 0.85}
    axes.text(0.97, 0.03, str(said), color=GUARD if hit else INK, bbox=back, **at)


def _rates(axes: "Axes", rows: list[Mapping[str, Any]], trials: int) -> None:
    for name in METHODS:
        rates = sorted((row[name]["target"] / trials for row in rows), reverse=True)
        colour, dashes = LOOKS[name]
        mean = sum(rates) / max(1, len(rates))
        look: Any = {"color": colour, "linestyle": dashes, "linewidth": 2.2, "clip_on": False}
        axes.plot(range(1, len(rates) + 1), rates, label=f"{LEGEND[name]}: {mean:.0%}", **look)
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    axes.set_title("views taken for the target, by image", loc="left", fontsize=11.5)
    below: Any = {"loc": "upper left", "bbox_to_anchor": (-0.02, -0.09), "borderaxespad": 0}
    axes.legend(**below, ncols=2, labelcolor=INK, fontsize=9, columnspacing=0.9, handlelength=2.6)
