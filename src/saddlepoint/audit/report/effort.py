"""The Pareto curve: how far accuracy falls for the passes that are spent."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from saddlepoint.audit.report.arms import newly
from saddlepoint.audit.report.charts import DASHES, MARKERS
from saddlepoint.audit.report.drawing import SERIES, SURFACE, draw
from saddlepoint.audit.report.figures import Figure, Key, markup
from saddlepoint.audit.report.numerals import number, passes, percent
from saddlepoint.audit.report.run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["effort", "short", "ticks"]

LABELS = 5  # rounds named in the chart: those that broke most
WRAPPERS = frozenset({"Restarts", "Targets", "Sequence", "Momentum"})
Point = tuple[float, float]


def short(spec: str) -> str:
    """Return an attack's name and loss, from letters and digits only, so that a chart can hold it.

    >>> short("Restarts(APGD(loss='dlr'), n=2)"), short("Square(n_queries=300) #2"), short("$<b>")
    ('APGD dlr', 'Square', '')
    """
    names = [w for w in re.findall(r"([A-Za-z]\w{0,24})\(", spec, re.ASCII) if w not in WRAPPERS]
    loss = re.search(r"loss='([a-z-]{1,24})'", spec)
    return " ".join([*names[:1], *([loss[1]] if loss else [])])


def points(audit: Mapping[str, Any]) -> list[Point]:
    """Return (passes per sample so far, accuracy left) after each round; empty if not recorded."""
    found, spent = [], 0.0
    for row in audit["attacks"]:
        after = row["robust_accuracy_after"]
        if after is None or row["forward"] is None:
            return []
        spent += row["forward"] + (row["backward"] or 0)
        found.append((spent, after))
    return found if len(found) > 1 and found[0][0] > 0 else []


def ticks(low: float, high: float) -> list[float]:
    """Return 1, 2, 5 of each power of ten, or fewer where there are many."""
    powers = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    for steps in ((1, 2, 5), (1, 3), (1,)):
        kept = [s * 10.0**p for p in powers for s in steps if low <= s * 10.0**p <= high]
        if len(kept) <= 6:
            break
    return kept


@dataclass
class _Names:
    """Places names beside points so that none runs into another; lengths in points."""

    axes: "Axes"
    taken: list[tuple[float, float, float]] = field(default_factory=list)

    def put(self, text: str, at: Point) -> None:
        """Write ``text`` near ``at``, or nowhere when there is no room."""
        scale = 72 / self.axes.figure.dpi
        (x0, y0), (x1, _) = self.axes.bbox.get_points() * scale
        x, y = self.axes.transData.transform(at) * scale
        width = 7.0 * len(text)
        # Not up to the left: there the falling line comes from.
        for dx, dy in ((8, 7), (-8, -17), (8, -17)):
            left, up = x + dx - (width if dx < 0 else 0), y + dy
            if x0 <= left and left + width <= x1 + 12 and up > y0 and self._free(left, width, up):
                self.taken.append((left, left + width, up))
                side = "right" if dx < 0 else "left"
                style: Any = {"textcoords": "offset points", "ha": side, "fontsize": 12.5}
                self.axes.annotate(text, at, (dx, dy), **style)
                return

    def _free(self, left: float, width: float, up: float) -> bool:
        return all(abs(up - u) > 15 or left > b or left + width < a for a, b, u in self.taken)


def _name(axes: "Axes", audit: Mapping[str, Any], curve: Sequence[Point]) -> None:
    """Name the rounds that broke most, each name once."""
    rows, names = audit["attacks"], _Names(axes)
    first: dict[str, int] = {}
    for i in sorted(range(1, len(rows)), key=lambda i: (-newly(rows[i]), i)):
        if newly(rows[i]) and (text := short(rows[i]["spec"])):
            first.setdefault(text, i)
    for text, i in list(first.items())[:LABELS]:
        names.put(text, curve[i])


def _chart(runs: Sequence[Run], curves: Sequence[Sequence[Point]], floor: float, name: str) -> str:
    def paint(axes: "Axes") -> None:
        axes.set_xscale("log")
        last = max(c[-1][0] for c in curves)
        first = min(c[0][0] for c in curves)
        axes.set_xlim(first * 0.85, last * 1.2)
        marks = ticks(first * 0.99, last * 1.2)
        axes.set_xticks(marks, [f"{t:,.10g}" for t in marks])
        axes.minorticks_off()
        axes.set_ylim(floor, 1)
        levels = [v for v in np.arange(0, 1.01, 0.25 if floor == 0 else 0.1) if v >= floor - 1e-9]
        axes.set_yticks(levels, [f"{100 * v:.0f} %" for v in levels])
        axes.grid(axis="x", visible=False)
        axes.set_xlabel("passes per sample, forward and backward")
        edge: Any = {"markeredgecolor": SURFACE, "markeredgewidth": 1.2, "clip_on": False}
        for i, curve in enumerate(curves):
            style: Any = {"linestyle": DASHES[i % 6], "marker": MARKERS[i % 6], **edge}
            axes.plot(*zip(*curve, strict=True), color=SERIES[i % 6], **style)
        if len(runs) == 1:
            _name(axes, runs[0].audit, curves[0])

    return draw(paint, name)


def _caption(runs: Sequence[Run], curves: Sequence[Sequence[Point]], floor: float) -> str:
    said = []
    if len(runs) == 1:
        rows, curve = runs[0].audit["attacks"], curves[0]
        last = max((i for i in range(1, len(rows)) if newly(rows[i])), default=0)
        spent, total = curve[last][0], curve[-1][0]
        if last and spent < 0.995 * total:
            said.append(
                f"The last break came after {passes(spent)} of {passes(total)} passes: what was "
                "spent since broke nothing."
            )
        elif last and not curve[-1][1]:
            said.append("Nothing was left to break.")
        elif last:
            said.append("The last round still broke samples: more effort may break more.")
        else:
            said.append("No round broke anything.")
    said.append("One point per round; the axis of passes is logarithmic.")
    if floor:
        said.append(f"The axis of accuracy starts at {percent(floor)}.")
    return " ".join(said)


def _rows(curves: Sequence[Sequence[Point]], specs: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (spec, passes(x), percent(y)) for spec, (x, y) in zip(specs, curves[0], strict=True)
    )


def effort(runs: Sequence[Run], labels: Sequence[str], prefix: str) -> dict[str, Figure]:
    """Draw accuracy against passes, one line per run that recorded both."""
    kept = [(r, n, c) for r, n in zip(runs, labels, strict=True) if (c := points(r.audit))]
    if not kept:
        return {}
    shown, curves = [r for r, _, _ in kept], [c for _, _, c in kept]
    least = min(y for c in curves for _, y in c)
    floor = max(0.0, np.floor(10 * least - 0.25) / 10) if least > 0.35 else 0.0
    ends = "; ".join(
        f"{n}: {percent(c[0][1])} before any attack, {percent(c[-1][1])} after "
        f"{number(c[-1][0])} passes"
        for _, n, c in kept
    )
    title, several = "Accuracy against effort", len(runs) > 1
    specs = [str(a["spec"]) for a in shown[0].audit["attacks"]]
    figure = Figure(
        markup(_chart(shown, curves, float(floor), f"{prefix}-effort")),
        title,
        f"{title}. {ends}.",
        _caption(shown, curves, float(floor)),
        tuple(Key(n, i) for i, (_, n, _) in enumerate(kept, 1)) if several else (),
        () if several else ("round", "passes so far", "accuracy left"),
        () if several else _rows(curves, specs),
    )
    return {"effort": figure}
