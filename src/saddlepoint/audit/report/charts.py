"""The charts of a report, each from plain numbers to inline SVG."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from saddlepoint.audit.report.drawing import GRID, INK, MUTED, SERIES, SURFACE, draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "by_class",
    "eps_chart",
    "landscape_chart",
    "margins_chart",
    "maxima_chart",
    "steps_chart",
]

Column = Sequence[float | None]
Curve = Mapping[str, Any]
Array = NDArray[Any]
# A second channel beside colour, so that a series is told apart in grey and by anyone.
DASHES = ("solid", (0, (6, 2.5)), (0, (2, 2)), (0, (8, 2, 2, 2)), (0, (1, 1.5)), (0, (10, 3)))
MARKERS = ("o", "s", "^", "D", "v", "P")
THINNED = 60  # values shown for each sample in the chart of local maxima


def _floats(column: Column) -> Array:
    return np.array([np.nan if v is None else v for v in column], dtype=float)


def _line(axes: "Axes", x: Array, curve: Curve, mean: str, i: int, marker: bool = True) -> None:
    i %= len(SERIES)
    low, high = _floats(curve["low"]), _floats(curve["high"])
    axes.fill_between(x, low, high, color=SERIES[i], alpha=0.16, linewidth=0)
    mark = MARKERS[i] if marker else ""
    edge: Any = {"markeredgecolor": SURFACE, "markeredgewidth": 1.2}
    y = _floats(curve[mean])
    axes.plot(x, y, color=SERIES[i], linestyle=DASHES[i], marker=mark, clip_on=False, **edge)


def _accuracy_axis(axes: "Axes") -> None:
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    axes.grid(axis="x", visible=False)


def _edge(axes: "Axes", at: float, text: str) -> None:
    axes.axvline(at, color=INK, linewidth=1.2, linestyle=(0, (2, 2)))
    # Above the axes, where no curve can run through the words.
    inside = axes.transAxes.inverted().transform(axes.transData.transform((at, 0)))[0]
    side = "left" if inside < 0.2 else "right" if inside > 0.8 else "center"
    trans = axes.get_xaxis_transform()
    axes.text(at, 1.03, text, ha=side, va="bottom", fontsize=13, transform=trans)


def eps_chart(curves: Sequence[Curve], eps: float | None, name: str) -> str:
    """Draw accuracy against the radius, one line per curve, the audited radius marked."""

    def paint(axes: "Axes") -> None:
        _accuracy_axis(axes)
        last = max(float(np.nanmax(_floats(c["eps"]))) for c in curves)
        axes.set_xlim(0, last or 1)
        for i, curve in enumerate(curves):
            _line(axes, _floats(curve["eps"]), curve, "accuracy", i)
        axes.set_xlabel("radius (eps)")
        if eps is not None and 0 < eps <= last:
            _edge(axes, eps, "audited")

    return draw(paint, name)


def _step_ticks(steps: Array) -> list[float]:
    kept: list[float] = []
    for step in sorted({float(s) for s in steps if np.isfinite(s)}):
        if not kept or step <= 2 or step / max(kept[-1], 1) >= 1.9:
            kept.append(step)
    return kept


def steps_chart(curves: Sequence[Curve], name: str) -> str:
    """Draw accuracy against the attack's steps, on an axis that is logarithmic from 1 on."""

    def paint(axes: "Axes") -> None:
        _accuracy_axis(axes)
        axes.set_xscale("symlog", linthresh=1, linscale=0.5)
        for i, curve in enumerate(curves):
            _line(axes, _floats(curve["steps"]), curve, "accuracy", i)
        ticks = _step_ticks(np.concatenate([_floats(c["steps"]) for c in curves]))
        axes.set_xlim(0, max(ticks[-1], 1))
        axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
        axes.minorticks_off()
        axes.set_xlabel("steps of the attack")

    return draw(paint, name)


def landscape_chart(land: Curve, name: str) -> str:
    """Draw the loss along FGSM's step and along PGD's perturbation, in radii."""

    def paint(axes: "Axes") -> None:
        t = _floats(land["t"])
        axes.set_xlim(float(np.nanmin(t)), float(np.nanmax(t)))
        axes.grid(axis="x", visible=False)
        axes.axvspan(1, max(1.0, float(np.nanmax(t))), color=GRID, alpha=0.45, linewidth=0)
        for i, direction in enumerate(("pgd", "fgsm")):
            _line(axes, t, land[direction], "mean", i, marker=False)
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
        axes.locator_params(axis="x", nbins=5)
        axes.set_xlabel("distance along the direction, in radii")
        axes.set_ylabel("loss")
        if np.nanmax(t) >= 1:
            _edge(axes, 1.0, "edge of the allowed set")

    return draw(paint, name)


def _swarm(values: Array, low: float, high: float) -> Array:
    """Offsets that spread equal values about the row's line, evenly and without randomness."""
    cell = np.floor(40 * (values - low) / ((high - low) or 1)).astype(int)
    rank = np.array([int(np.sum(cell[:i] == c)) for i, c in enumerate(cell)])
    crowd = np.array([int(np.sum(cell == c)) for c in cell])
    # Multiples of the golden ratio fill an interval evenly at every length.
    spread = ((rank * 0.618034 + 0.5) % 1 - 0.5) * np.minimum(0.8, 0.11 * (crowd - 1))
    return np.asarray(spread)


def _thin(values: Column) -> Array:
    """At most THINNED of the finite values: evenly spaced in rank, both ends kept."""
    v: Array = np.sort(_floats(values))
    v = v[np.isfinite(v)]
    if len(v) <= THINNED:
        return v
    kept: Array = v[np.linspace(0, len(v) - 1, THINNED).round().astype(int)]
    return kept


def maxima_chart(index: Sequence[int], values: Sequence[Column], name: str) -> str:
    """Draw one row of dots per sample: the loss every restart ended at, the best one marked."""
    rows = [(i, v) for i, row in zip(index, values, strict=True) if len(v := _thin(row))]

    def paint(axes: "Axes") -> None:
        low = min((float(v[0]) for _, v in rows), default=0.0)
        high = max((float(v[-1]) for _, v in rows), default=1.0)
        for y, (_, v) in enumerate(rows):
            dots: Any = {"marker": "o", "markersize": 4.5, "alpha": 0.55, "markeredgewidth": 0}
            axes.plot(v, y + _swarm(v, low, high), linestyle="", color=SERIES[0], **dots)
            axes.plot(v[-1:], [y], linestyle="", marker="|", markersize=18, color=INK, mew=2)
        axes.set_yticks(range(len(rows)), [f"#{i}" for i, _ in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlabel("loss at the end of a restart")

    return draw(paint, name, height=max(300, 80 + 28 * len(rows)))


def by_class(label: Array, clean_wrong: Array, broken: Array, name: str) -> str:
    """Draw for every class how far accuracy falls, from clean (ring) to robust (square)."""
    classes = np.unique(label)
    clean = np.array([1 - clean_wrong[label == c].mean() for c in classes])
    robust = np.array([1 - broken[label == c].mean() for c in classes])

    def paint(axes: "Axes") -> None:
        y = np.arange(len(classes))
        axes.hlines(y, robust, clean, color=MUTED, linewidth=2, alpha=0.6)
        dots: Any = {"linestyle": "", "clip_on": False, "markersize": 8}
        axes.plot(robust, y, marker="s", color=SERIES[0], **dots)
        axes.plot(clean, y, marker="o", color=SERIES[1], mfc="none", mew=2, **dots)
        axes.set_yticks(y, [str(c) for c in classes])
        axes.set_ylim(len(classes) - 0.5, -0.5)
        axes.set_xlim(0, 1)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
        axes.set_xlabel("accuracy")
        axes.set_ylabel("class")

    return draw(paint, name, height=max(300, 76 + 26 * len(classes)))


def margins_chart(margin: Array, name: str, height: int = 300) -> str:
    """Draw how narrowly samples withstand (left of 0) or are broken (right of 0)."""
    margin = margin[np.isfinite(margin)]

    def paint(axes: "Axes") -> None:
        reach = max(float(np.abs(margin).max(initial=0)), 1e-6)
        low, high = min(0.0, float(margin.min(initial=0))), max(0.0, float(margin.max(initial=0)))
        width = (high - low or reach) / 36
        # Bins meet at 0, so that no bar holds both broken and withstanding samples.
        edges = width * np.arange(np.floor(low / width), np.ceil(high / width) + 1)
        counts, edges = np.histogram(margin, edges)
        for keep, colour in (
            (edges[:-1] < -width / 2, SERIES[2]),
            (edges[:-1] >= -width / 2, SERIES[4]),
        ):
            x = edges[:-1][keep]
            axes.bar(x, counts[keep], width * 0.88, align="edge", color=colour)
        axes.grid(axis="x", visible=False)
        axes.locator_params(axis="y", integer=True)
        axes.set_xlabel("worst margin found (above 0: broken)")
        axes.set_ylabel(f"samples of {len(margin):,}")
        _edge(axes, 0.0, "decision boundary")

    return draw(paint, name, height=height)
