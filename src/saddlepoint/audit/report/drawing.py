"""From a matplotlib figure to inline SVG that follows the page: its colours, font and width."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["GRID", "INK", "MUTED", "SERIES", "SURFACE", "draw"]

# Placeholder colours: matplotlib needs real ones, the page replaces them by its variables.
INK, MUTED, GRID, SURFACE = "#0a1b01", "#0a1b02", "#0a1b03", "#0a1b04"
SERIES = ("#0a1b11", "#0a1b12", "#0a1b13", "#0a1b14", "#0a1b15", "#0a1b16")
VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    GRID: "var(--grid)",
    SURFACE: "var(--surface)",
    **{colour: f"var(--s{i})" for i, colour in enumerate(SERIES, 1)},
}
STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 1.0,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "text.color": INK,
    "font.size": 13.5,
    "axes.labelsize": 13.5,
    "xtick.labelsize": 13.0,
    "ytick.labelsize": 13.0,
    "lines.linewidth": 2.2,
    "lines.markersize": 7.0,
}


def draw(paint: Callable[["Axes"], None], name: str, width: int = 450, height: int = 300) -> str:
    """Return what ``paint`` draws as an ``<svg>`` element, ids prefixed with ``name``.

    The user's settings and backend are left alone: a bare Figure with its own canvas, under a
    context that starts from matplotlib's defaults so that equal data give equal bytes.
    """
    from io import BytesIO

    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with mpl.rc_context():
        mpl.rcdefaults()
        settings: Any = {**STYLE, "svg.hashsalt": name}
        mpl.rcParams.update(settings)
        figure = Figure(figsize=(width / 72, height / 72))
        FigureCanvasSVG(figure)  # becomes the figure's canvas: no backend is chosen or switched
        left, right, low, high = 62 / width, 1 - 16 / width, 50 / height, 1 - 26 / height
        axes = figure.add_axes((left, low, right - left, high - low))
        figure.patch.set_visible(False)
        axes.patch.set_visible(False)
        paint(axes)
        file = BytesIO()
        blank: Any = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(file, format="svg", metadata=blank)
    return _inline(file.getvalue().decode("utf-8"), name)


def _inline(svg: str, name: str) -> str:
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r' (?:xmlns(?::\w+)?|version|width|height)="[^"]*"', "", svg, count=5)
    svg = svg.replace("xlink:href", "href")
    # The text takes the page's font; a style element would reach beyond the chart.
    svg = re.sub(r" font-family: [^;\"]*;", "", svg)
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' transform="rotate\(-0 [^"]*"', "", svg)
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, variable)
    svg = _identify(svg, name)
    return re.sub(r">\s+<", "><", svg).strip()


def _identify(svg: str, name: str) -> str:
    # Several charts share one page: ids must differ, and those nobody refers to may go.
    used = set(re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", svg))
    svg = re.sub(r' id="([^"]*)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in used else "", svg)
    return re.sub(r"(url\(#|href=\"#)", rf"\g<1>{name}-", svg)
