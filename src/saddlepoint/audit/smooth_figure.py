"""Certified accuracy against the radius as a picture, with its pointwise interval."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from saddlepoint.audit.curve_figure import framed
from saddlepoint.train.curves import CLEAN, INK, MUTED, ROBUST

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_smooth"]


def draw_smooth(document: Mapping[str, Any]) -> dict[str, bytes]:
    """Draw a smooth.json; returns ``{"smooth.png": …, "smooth.svg": …}``, equal for equal ones."""
    return framed("smooth", lambda axes: _paint(axes, document))


def _paint(axes: "Axes", d: Mapping[str, Any]) -> None:
    eps, ends = d["eps"], d["pointwise"]
    each = f"{100 * d['confidence']:g} % interval at each radius"
    look: Any = {"color": ROBUST, "alpha": 0.24, "linewidth": 0}
    axes.fill_between(eps, ends["low"], ends["high"], label=each, **look)
    axes.plot(eps, d["accuracy"], color=ROBUST, label="certified accuracy", clip_on=False)
    most = d["radius"]["largest_possible"]
    axes.axvline(most, color=CLEAN, linewidth=1.2, linestyle=(0, (3, 3)), zorder=1)
    shift: Any = {"xytext": (-6, -14), "textcoords": "offset points"}
    said = f"{d['smoothing']['n']:,} draws certify no more than {most:.3g}"
    axes.annotate(said, (most, 1), color=MUTED, fontsize=10, ha="right", **shift)
    axes.set_xlim(0, eps[-1])
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    axes.set_xlabel("radius of the change, L2")
    _words(axes, d)


def _words(axes: "Axes", d: Mapping[str, Any]) -> None:
    figure, left = axes.figure, axes.get_position().x0
    figure.text(left, 0.935, "Certified accuracy against radius", fontsize=13, fontweight="bold")
    s = d["smoothing"]
    said = (
        f"{d['model']['name']}, {d['data']['name']}, {d['n']:,} samples, sigma {s['sigma']:g}, "
        f"{s['n']:,} draws, alpha {s['alpha']:g} per sample"
    )
    figure.text(left, 0.885, said, fontsize=10, color=MUTED)
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(
        handles[::-1],
        labels[::-1],
        loc="lower left",
        bbox_to_anchor=(-0.01, 1.0),
        ncols=2,
        fontsize=9.5,
        labelcolor=INK,
    )
