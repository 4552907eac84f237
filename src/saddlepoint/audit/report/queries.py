"""Success against queries: how accuracy falls with the questions asked about each sample."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from saddlepoint.audit.report.charts import DASHES
from saddlepoint.audit.report.drawing import SERIES, draw
from saddlepoint.audit.report.effort import ticks
from saddlepoint.audit.report.figures import Figure, Key, markup
from saddlepoint.audit.report.numerals import count, number, percent
from saddlepoint.audit.report.run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["queries"]

Curve = tuple[list[float], list[float]]


def curve_of(audit: Mapping[str, Any]) -> Curve | None:
    """Return (questions, accuracy left), or None where the run has none that can be drawn."""
    found = (audit.get("queries") or {}).get("curve")
    if not isinstance(found, dict):
        return None
    x, y = found.get("queries"), found.get("robust_accuracy")
    if not isinstance(x, list) or not isinstance(y, list) or len(x) != len(y) or len(x) < 2:
        return None
    plain = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (*x, *y))
    rising = plain and all(a < b for a, b in pairwise(x)) and x[0] > 0
    return (x, y) if rising and all(0 <= v <= 1 for v in y) else None


def _chart(curves: Sequence[Curve], name: str) -> str:
    def paint(axes: "Axes") -> None:
        axes.set_xscale("log")
        last = max(x[-1] for x, _ in curves)
        axes.set_xlim(0.9, last * 1.2)
        marks = ticks(0.99, last * 1.2)
        axes.set_xticks(marks, [f"{t:,.10g}" for t in marks])
        axes.minorticks_off()
        axes.set_ylim(0, 1)
        axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
        axes.grid(axis="x", visible=False)
        axes.set_xlabel("queries for each sample, the clean one included")
        for i, (x, y) in enumerate(curves):
            axes.step(x, y, where="post", color=SERIES[i % 6], linestyle=DASHES[i % 6])

    return draw(paint, name)


def _caption(audit: Mapping[str, Any]) -> str:
    said = audit["queries"]
    if not said.get("broken"):
        return "No attack broke anything."
    limit = said.get("limit")
    most = f" of {count(limit)} allowed" if isinstance(limit, int) else ""
    return (
        f"A sample that an attack broke took {number(said['median'])} queries in the median and "
        f"{number(said['mean'])} on average; at most {count(said['most'])}{most} were spent on one."
    )


def queries(runs: Sequence[Run], labels: Sequence[str], prefix: str) -> dict[str, Figure]:
    """Draw accuracy against queries, one line per run that was rationed or saw no gradients."""
    pairs = zip(runs, labels, strict=True)
    kept = [(r, n, c) for r, n in pairs if (c := curve_of(r.audit)) is not None]
    if not kept:
        return {}
    title, several = "Accuracy against queries", len(runs) > 1
    ends = "; ".join(
        f"{name}: {percent(y[0])} after {number(x[0])}, {percent(y[-1])} after {number(x[-1])}"
        for _, name, (x, y) in kept
    )
    after = kept[0][0].audit["queries"].get("after") or []
    rows = tuple((count(a["queries"]), percent(a["robust_accuracy"])) for a in after)
    figure = Figure(
        markup(_chart([c for _, _, c in kept], f"{prefix}-queries")),
        title,
        f"{title}. {ends}.",
        "" if several else _caption(kept[0][0].audit),
        tuple(Key(n, i) for i, (_, n, _) in enumerate(kept, 1)) if several else (),
        () if several else ("queries", "accuracy left"),
        () if several else rows,
    )
    return {"queries": figure}
