"""Training curves as pictures: accuracy beside the loss, with what the run kept and undid."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from saddlepoint.train.card_read import undone

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_curves"]

INK, MUTED, GRID, SURFACE = "#18212f", "#55606f", "#dde1e8", "#ffffff"
ROBUST, CLEAN, OWN, LOSS, GUARD = "#1c5d9f", "#b5520b", "#0b7468", "#7d3f98", "#a32a1b"
PROVED = "#5d6b00"
FONTS = "system-ui, 'Segoe UI', Roboto, 'Liberation Sans', 'DejaVu Sans', Arial, sans-serif"
FEW = 30  # up to so many epochs each gets a marker; a lone one would be invisible without
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "saddlepoint",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "text.color": INK,
    "legend.frameon": False,
    "lines.markersize": 4.5,
    "savefig.dpi": 144,
}
# name, legend, colour, line style, marker, width: told apart in grey too.
SERIES: tuple[tuple[str, str, str, Any, str, float], ...] = (
    ("clean", "clean", CLEAN, (0, (6, 2.5)), "s", 2.0),
    ("robust", "check attack", ROBUST, "solid", "o", 2.4),
    ("own", "training attack", OWN, (0, (2, 1.5)), "^", 1.2),
    ("certified", "certified", PROVED, (0, (5, 1.5, 1, 1.5)), "D", 2.0),
)
Rows = Sequence[Mapping[str, Any]]


def draw_curves(history: Rows, events: Rows = (), best_epoch: int = 0) -> dict[str, bytes]:
    """Draw accuracy (left), loss and learning rate (right) against epochs.

    ``history`` holds one mapping per epoch with ``epoch`` and, each possibly absent or None,
    ``loss``, ``clean``, ``robust``, ``own``, ``certified``, ``lr``; ``events`` those of the guard,
    with ``epoch``. The epoch numbered ``best_epoch`` is ringed. Returns ``{"curves.png": …,
    "curves.svg": …}``, or nothing when there is no epoch. Equal arguments give equal bytes.

    >>> sorted(draw_curves([{"epoch": 1, "loss": 2.3, "clean": 0.5, "robust": 0.25}]))
    ['curves.png', 'curves.svg']
    >>> draw_curves([])
    {}
    """
    if not history:
        return {}
    from io import BytesIO

    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    png, svg = BytesIO(), BytesIO()
    # The user's settings and backend are left alone; starting from the defaults keeps bytes equal.
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        figure = Figure(figsize=(9.6, 4.4))
        FigureCanvasAgg(figure)
        _paint(figure, history, events, best_epoch)
        bare: Any = {"Software": None}
        figure.savefig(png, format="png", metadata=bare)
        blank: Any = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(svg, format="svg", metadata=blank)
    text = _plain(svg.getvalue().decode("utf-8"))
    return {"curves.png": png.getvalue(), "curves.svg": text.encode("utf-8")}


def _plain(svg: str) -> str:
    """Drop what only editors read, and let text take the reader's own font."""
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    return re.sub(r"font-family: [^;\"]*", f"font-family: {FONTS}", svg)


def _column(history: Rows, name: str) -> list[float]:
    values = (row.get(name) for row in history)
    return [math.nan if v is None else float(v) for v in values]


def _has(column: Sequence[float]) -> bool:
    return any(math.isfinite(v) for v in column)


def _paint(figure: "Figure", history: Rows, events: Rows, best: int) -> None:
    grid = figure.add_gridspec(
        2, 2, height_ratios=(4, 1), left=0.065, right=0.98, bottom=0.12, top=0.77, wspace=0.17
    )
    accuracy, loss = figure.add_subplot(grid[:, 0]), figure.add_subplot(grid[0, 1])
    rate = figure.add_subplot(grid[1, 1])
    _accuracy(accuracy, history, best)
    _loss(loss, history)
    _rate(rate, history)
    for axes in (accuracy, loss, rate):
        _epochs(axes, history, events)
    _guard(accuracy, events, named=True)
    _guard(loss, events)
    _legend(accuracy, "Held-out accuracy")
    _legend(loss, "Training loss")
    loss.tick_params(axis="x", labelbottom=False)
    for axes in (accuracy, rate):
        axes.set_xlabel("epoch")


def _marker(history: Rows, shape: str) -> str:
    return shape if len(history) <= FEW else ""


def _accuracy(axes: "Axes", history: Rows, best: int) -> None:
    x = _column(history, "epoch")
    for name, text, colour, dashes, shape, width in SERIES:
        y = _column(history, name)
        if not _has(y):
            continue
        look: Any = {"color": colour, "linestyle": dashes, "linewidth": width, "clip_on": False}
        axes.plot(x, y, label=text, marker=_marker(history, shape), **look)
    _ring(axes, history, best)
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])


def _ring(axes: "Axes", history: Rows, best: int) -> None:
    row = next((row for row in reversed(history) if row["epoch"] == best), None)
    if row is None:
        return
    points = [row[name] for name in ("clean", "robust", "certified") if row.get(name) is not None]
    ring: Any = {"marker": "o", "markersize": 12, "markerfacecolor": "none", "clip_on": False}
    axes.plot(
        [best] * len(points),
        points,
        linestyle="",
        label=f"kept (epoch {best})",
        markeredgecolor=INK,
        markeredgewidth=1.6,
        zorder=5,
        **ring,
    )


def _loss(axes: "Axes", history: Rows) -> None:
    x, y = _column(history, "epoch"), _column(history, "loss")
    look: Any = {"linewidth": 2.0, "marker": _marker(history, "D")}
    axes.plot(x, y, color=LOSS, label="loss, in nats", **look)
    finite = [v for v in y if math.isfinite(v)]
    if finite and min(finite) >= 0:
        axes.set_ylim(0, 1.05 * max(finite) or 1)
    axes.locator_params(axis="y", nbins=5)


def _rate(axes: "Axes", history: Rows) -> None:
    x, y = _column(history, "epoch"), _column(history, "lr")
    axes.plot(x, y, color=MUTED, linewidth=1.4, marker=_marker(history, "."), clip_on=False)
    top = max((v for v in y if math.isfinite(v)), default=0) or 1.0
    axes.set_ylim(0, 1.1 * top)
    axes.set_yticks([0, top], ["0", f"{top:.3g}"] if _has(y) else ["", ""])
    axes.grid(axis="y", visible=False)
    above: Any = {"ha": "right", "va": "bottom", "transform": axes.transAxes}
    axes.text(1, 1.05, "learning rate", fontsize=9, color=MUTED, **above)


def _epochs(axes: "Axes", history: Rows, events: Rows) -> None:
    from matplotlib.ticker import MaxNLocator

    seen = [*_column(history, "epoch"), *_column(events, "epoch")]
    first, last = min(seen), max(seen)
    room = max(0.5, 0.02 * (last - first)) if len(seen) <= FEW else 0
    axes.set_xlim(first - room, last + (room or 1e-9))
    axes.xaxis.set_major_locator(MaxNLocator(10, integer=True, steps=[1, 2, 5, 10]))
    axes.grid(axis="x", visible=False)


def _guard(axes: "Axes", events: Rows, named: bool = False) -> None:
    """Mark each event by a line and a number above it, where no curve can run through."""
    above = axes.get_xaxis_transform()
    names: set[str] = set()
    for i, event in enumerate(events, 1):
        name = "collapse, undone" if undone(event) else "collapse"
        label = {"label": name} if named and name not in names else {}
        names.add(name)
        line: Any = {"color": GUARD, "linewidth": 1.3, "linestyle": (0, (3, 2)), **label}
        axes.axvline(event["epoch"], **line)
        small: Any = {"fontsize": 9, "color": GUARD, "transform": above}
        axes.text(event["epoch"], 1.015, f"G{i}", ha="center", va="bottom", **small)


def _legend(axes: "Axes", title: str) -> None:
    """Put title and legend above the axes, in the figure's units: panels differ in height."""
    figure, left = axes.figure, axes.get_position().x0
    figure.text(left, 0.94, title, fontsize=12, fontweight="bold")
    place: Any = {
        "loc": "upper left",
        "bbox_to_anchor": (left, 0.915),
        "bbox_transform": figure.transSubfigure,
        "borderpad": 0,
        "borderaxespad": 0,
    }
    axes.legend(ncols=3, fontsize=9, labelcolor=MUTED, columnspacing=1.4, handlelength=2.4, **place)
