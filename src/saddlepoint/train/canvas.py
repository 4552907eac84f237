"""A figure in the house look, as the bytes of its files."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from saddlepoint.train.curves import STYLE, SURFACE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["drawn"]


def drawn(
    name: str,
    size: tuple[float, float],
    paint: Callable[["Figure"], None],
    fonts: Mapping[str, Any],
) -> dict[str, bytes]:
    """Let ``paint`` fill a figure of that size in inches; returns name.png and name.svg.

    Neither the user's settings nor their backend are asked, or changed. The same painting gives the
    same bytes.

    >>> sorted(drawn("dot", (1, 1), lambda figure: None, {}))
    ['dot.png', 'dot.svg']
    """
    from io import BytesIO

    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    files = {f"{name}.png": BytesIO(), f"{name}.svg": BytesIO()}
    with mpl.rc_context():
        mpl.rcdefaults()
        settings: Any = {**STYLE, **fonts}
        mpl.rcParams.update(settings)
        figure = Figure(figsize=size, facecolor=SURFACE)
        FigureCanvasAgg(figure)
        paint(figure)
        for file_name, file in files.items():
            # What would differ from one second, or one version, to the next.
            dropped = ("Software",) if file_name.endswith("png") else ("Date", "Creator")
            blank: Any = dict.fromkeys(dropped)
            figure.savefig(file, format=file_name[-3:], metadata=blank)
    return {file_name: file.getvalue() for file_name, file in files.items()}
