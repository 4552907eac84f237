"""One perturbation, and what it does to a few samples: a picture for a person to judge."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from saddlepoint.audit.report.pictures import is_image
from saddlepoint.train.curves import INK, MUTED, STYLE, SURFACE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_universal"]

Array = np.ndarray[Any, Any]
WRONG = "#b04a00"


def draw_universal(
    document: Mapping[str, Any], u: Array, shown: Mapping[str, Array]
) -> bytes | None:
    """Draw u, and samples above what it makes of them; None for inputs that are no images.

    Returns PNG bytes, equal for equal arguments.
    """
    if not is_image(shown["x"].shape[1:]):
        return None
    from io import BytesIO

    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    count, file = len(shown["x"]), BytesIO()
    with mpl.rc_context():
        mpl.rcdefaults()
        settings: Any = STYLE
        mpl.rcParams.update(settings)
        figure = Figure(figsize=(2.4 + 1.15 * count, 3.6), facecolor=SURFACE)
        FigureCanvasAgg(figure)
        widths = [2, *[1] * count]
        grid = figure.add_gridspec(
            2, count + 1, width_ratios=widths, left=0.02, right=0.99, bottom=0.09, top=0.74
        )
        _perturbation(figure.add_subplot(grid[:, 0]), u, shown)
        for i in range(count):
            before = figure.add_subplot(grid[0, i + 1])
            _image(before, shown["x"][i], str(shown["clean"][i]), INK)
            fooled = shown["prediction"][i] != shown["clean"][i]
            after = figure.add_subplot(grid[1, i + 1])
            _image(after, shown["x_adv"][i], str(shown["prediction"][i]), WRONG if fooled else INK)
        _words(figure, document)
        blank: Any = {"Software": None}
        figure.savefig(file, format="png", metadata=blank, dpi=110)
    return file.getvalue()


def _perturbation(axes: "Axes", u: Array, shown: Mapping[str, Array]) -> None:
    """U as a picture where it is one; what changed on the first sample where it is not."""
    pictured = u if is_image(u.shape) else shown["x_adv"][0] - shown["x"][0]
    low, high = float(pictured.min()), float(pictured.max())
    _paint(axes, (pictured - low) / ((high - low) or 1.0))
    axes.set_xlabel(f"u, from {low:.3g} to {high:.3g}", color=MUTED, fontsize=9)


def _image(axes: "Axes", x: Array, words: str, colour: str) -> None:
    _paint(axes, x)
    axes.set_xlabel(words, color=colour, fontsize=9.5, labelpad=2)


def _paint(axes: "Axes", x: Array) -> None:
    unit = np.clip(np.nan_to_num(x), 0, 1).transpose(1, 2, 0)
    grey: Any = {"cmap": "gray", "vmin": 0, "vmax": 1} if unit.shape[2] == 1 else {}
    axes.imshow(unit[..., 0] if grey else unit, interpolation="nearest", **grey)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set(visible=True, color=MUTED, linewidth=0.6)


def _words(figure: Any, d: Mapping[str, Any]) -> None:  # noqa: ANN401
    fooling, control = d["fooling"], d["control"]
    low, high = fooling["interval"]
    aim = "" if d["target"] is None else f", towards class {d['target']}"
    figure.text(0.02, 0.91, f"One perturbation for all: {d['threat']}{aim}", fontsize=12)
    said = (
        f"{d['model']['name']}, {d['data']['name']} {d['data']['split']}, n = {fooling['of']:,}: "
        f"changes {100 * fooling['share']:.1f} % of the answers ({100 * low:.1f} to "
        f"{100 * high:.1f} %), a random one {100 * control['share']:.1f} %; answers below"
    )
    figure.text(0.02, 0.83, said, fontsize=9, color=MUTED)
