"""Draw docs/images/peers-passes.png and peers-seconds.png from the rows of strength.py."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saddlepoint.train.canvas import drawn
from saddlepoint.train.curves import CLEAN, INK, LOSS, MUTED, OWN, ROBUST, SURFACE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw"]

FONTS = {
    "font.size": 10.5,
    "axes.titlesize": 11.5,
    "axes.titleweight": "bold",
    "axes.labelsize": 10.5,
}
COLOURS = {"saddlepoint": ROBUST, "torchattacks": CLEAN, "foolbox": OWN, "art": LOSS}
NAMES = {"foolbox": "Foolbox", "art": "ART"}
MARKERS = {"PGD": "o", "APGD": "^", "cascade": "s", "AutoAttack": "D"}
NORMS = {"Linf": "L∞", "L2": "L2"}
UNITS = {
    "passes": "forward and backward passes for each image",
    "seconds": "CPU seconds for each image",
}
Rows = Sequence[dict[str, Any]]


def draw(rows: Rows, folder: Path) -> None:
    """Write both figures."""
    for unit in UNITS:
        files = drawn("peers", (12.6, 7.6), lambda f, unit=unit: _paint(f, rows, unit), FONTS)
        path = folder / f"peers-{unit}.png"
        path.write_bytes(files["peers.png"])
        print(f"-> {path}")


def cost(point: dict[str, Any], row: dict[str, Any], unit: str) -> float:
    """What a point of a row has cost for each image."""
    if unit == "passes":
        return float(point["forward"] + point["backward"])
    return float(point["cpu_seconds"]) / float(row["n"])


def _paint(figure: "Figure", rows: Rows, unit: str) -> None:
    nets = list(dict.fromkeys(r["net"] for r in rows))
    space: Any = {"left": 0.072, "right": 0.985, "bottom": 0.075, "top": 0.86}
    grid = figure.add_gridspec(len(NORMS), len(nets), wspace=0.18, hspace=0.3, **space)
    for i, norm in enumerate(NORMS):
        for j, net in enumerate(nets):
            axes = figure.add_subplot(grid[i, j])
            mine = [r for r in rows if (r["net"], r["norm"]) == (net, norm) and not r["error"]]
            _panel(axes, mine, unit)
            eps = "8/255" if abs(mine[0]["eps"] - 8 / 255) < 1e-9 else f"{mine[0]['eps']:g}"
            axes.set_title(f"{net}, {NORMS[norm]} {eps}, n = {mine[0]['n']}", loc="left")
            if i == len(NORMS) - 1:
                axes.set_xlabel(UNITS[unit])
            if j == 0:
                axes.set_ylabel("robust accuracy left")
    figure.text(0.072, 0.955, "Robust accuracy that attacks leave", fontsize=13, weight="bold")
    said = "lower is stronger; one point for each budget, the audit's line as it ran"
    figure.text(0.072, 0.925, said, color=MUTED)
    _legend(figure)


def _panel(axes: "Axes", rows: Rows, unit: str) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xscale("log")
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["library"], row["family"]), []).append(row)
    for (library, family), mine in groups.items():
        look: Any = {"color": COLOURS[library], "markeredgecolor": SURFACE, "zorder": 3}
        points = sorted((cost(r, r, unit), r["left"]) for r in mine)
        if family == "cascade":
            _trail(axes, mine, unit)
            look["linestyle"] = ""
        size = 8.0 if family in ("cascade", "AutoAttack") else 5.5
        x, y = zip(*points, strict=True)
        axes.plot(x, y, marker=MARKERS[family], markersize=size, linewidth=1.1, **look)
    low = min(r["left"] for r in rows)
    axes.set_ylim(max(0.0, low - 0.06), min(1.02, rows[0]["clean"] + 0.02))
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(lambda v, _: f"{100 * v:.0f} %")
    axes.xaxis.set_major_formatter(lambda v, _: f"{v:,g}")


def _trail(axes: "Axes", rows: Rows, unit: str) -> None:
    longest = max(rows, key=lambda r: r["forward"])
    points = [(cost(p, longest, unit), p["left"]) for p in longest["trail"]]
    x, y = zip(*points, strict=True)
    axes.step(x, y, where="post", color=COLOURS["saddlepoint"], linewidth=2.0, zorder=2)


def _legend(figure: "Figure") -> None:
    from matplotlib.lines import Line2D

    colours = [
        Line2D([], [], color=c, linewidth=3, label=NAMES.get(k, k)) for k, c in COLOURS.items()
    ]
    shapes = [
        Line2D(
            [], [], color=MUTED, marker=m, linestyle="", label=f"{'audit' if k == 'cascade' else k}"
        )
        for k, m in MARKERS.items()
    ]
    figure.legend(
        handles=[*colours, *shapes],
        loc="upper right",
        bbox_to_anchor=(0.99, 0.985),
        ncols=4,
        labelcolor=INK,
        handlelength=1.4,
        columnspacing=1.6,
    )
