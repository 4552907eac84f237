"""The figures of a report: a chart with its legend, its caption and the numbers behind it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from saddlepoint.audit.report import charts
from saddlepoint.audit.report.numerals import count, number, percent, plural
from saddlepoint.audit.report.run import Run
from saddlepoint.audit.report.words import noun

if TYPE_CHECKING:
    from markupsafe import Markup

__all__ = ["Figure", "Key", "landscape_words", "markup", "maxima_words", "overlay", "run_figures"]

MOST_CLASSES = 20  # more rows than this say nothing at a glance
MOST_SAMPLES = 10


@dataclass(frozen=True)
class Key:
    """One entry of a legend: a series (1 is the first) and how it is drawn."""

    text: str
    series: int
    shape: str = "line"


@dataclass(frozen=True)
class Figure:
    """One figure: ``alt`` says to those who do not see it what it shows."""

    svg: "Markup"
    title: str
    alt: str
    caption: str
    keys: tuple[Key, ...] = ()
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def markup(svg: str) -> "Markup":
    """Mark a chart as safe to put into the page as it is."""
    from markupsafe import Markup

    return Markup(svg)  # noqa: S704 - drawn here; names from outside never enter a chart


def _ends(curve: Mapping[str, Any], axis: str) -> str:
    x, y = curve[axis], curve["accuracy"]
    return f"{percent(y[0])} at {number(x[0])} to {percent(y[-1])} at {number(x[-1])}" if x else ""


def _rows(curves: Sequence[Mapping[str, Any]], axis: str) -> tuple[tuple[str, ...], ...]:
    cells = []
    points = sorted({x for c in curves for x in c[axis] if x is not None})
    for x in points:
        found = [c["accuracy"][c[axis].index(x)] if x in c[axis] else None for c in curves]
        cells.append((number(x), *map(percent, found)))
    return tuple(cells)


def _curve(runs: Sequence[Run], labels: Sequence[str], axis: str, prefix: str) -> dict[str, Figure]:
    pairs = [(r, n) for r, n in zip(runs, labels, strict=True) if r.figures.get(f"{axis}_curve")]
    pairs = [(r, n) for r, n in pairs if r.figures[f"{axis}_curve"][axis]]
    if not pairs:
        return {}
    shown = [r.figures[f"{axis}_curve"] for r, _ in pairs]
    name = f"{prefix}-{axis}"
    if axis == "eps":
        radii = {r.audit["threat"].get("eps") for r, _ in pairs}
        svg = charts.eps_chart(shown, radii.pop() if len(radii) == 1 else None, name)
        title, column = "Accuracy against the radius", "radius"
    else:
        svg = charts.steps_chart(shown, name)
        title, column = "Accuracy against the attack's steps", "steps"
    alt = "; ".join(f"{n}: from {_ends(c, axis)}" for c, (_, n) in zip(shown, pairs, strict=True))
    keys = tuple(Key(n, i) for i, (_, n) in enumerate(pairs, 1)) if len(runs) > 1 else ()
    head = (column, *(n for _, n in pairs)) if len(runs) > 1 else (column, "accuracy")
    caption = _curve_caption(pairs[0][0], shown[0], axis)
    figure = Figure(markup(svg), title, f"{title}. {alt}.", caption, keys, head, _rows(shown, axis))
    return {axis: figure}


def _curve_caption(run: Run, curve: Mapping[str, Any], axis: str) -> str:
    attack = f" by {curve['attack']}" if curve.get("attack") else ""
    n = run.figures.get("n")
    on = f" on {plural(n, noun(run.audit))}" if isinstance(n, int) else ""
    text = f"Measured{attack}{on} that are right when unperturbed; the band is the interval."
    if axis == "eps":
        return f"{text} The curve should fall to 0.0 % where the change may be large enough."
    return f"{text} Once more steps change nothing, the attack has done what it can."


def landscape_words(land: Mapping[str, Any]) -> str:
    """Say what the two curves reach at the edge of the set, and what that means."""
    t = np.array([np.nan if v is None else v for v in land["t"]], dtype=float)
    if not np.isfinite(t).any():
        return ""
    i = int(np.nanargmin(np.abs(t - 1)))
    fgsm, pgd = land["fgsm"]["mean"], land["pgd"]["mean"]
    if fgsm[i] is None or pgd[i] is None:
        return ""
    text = (
        f"At the edge of the set the mean loss is {number(pgd[i])} along PGD's perturbation and "
        f"{number(fgsm[i])} along FGSM's step"
    )
    inside = [v for v, at in zip(fgsm, t, strict=True) if v is not None and at <= 1]
    if inside and max(inside) > 1.05 * fgsm[i]:
        return f"{text}. FGSM's loss falls again before the edge: one large step overshoots."
    if pgd[i] > 1.1 * fgsm[i]:
        return f"{text}: many small steps find what one step misses."
    return f"{text}: nearly the same, so the loss is close to linear inside the set."


def _landscape(run: Run, key: str) -> dict[str, Figure]:
    land = run.figures.get("landscape")
    if not land or len(land["t"]) < 2:
        return {}
    caption = landscape_words(land) + " The band holds the middle half of the samples."
    alt = f"Loss ({land.get('loss', 'cross-entropy')}) along two directions. {caption}"
    keys = (Key("along PGD's perturbation", 1, "plain"), Key("along FGSM's step", 2, "plain"))
    svg = markup(charts.landscape_chart(land, f"{key}-land"))
    return {"landscape": Figure(svg, "Loss along two directions", alt, caption.strip(), keys)}


def maxima_words(values: Sequence[Sequence[float | None]]) -> str:
    """Say how far apart the restarts of one sample end, in the middle case."""
    rows = [[v for v in row if v is not None] for row in values]
    spread = [(max(row) - min(row)) / max(row) for row in rows if len(row) > 1 and max(row) > 0]
    if not spread:
        return ""
    middle = float(np.median(spread))
    if middle < 0.25:
        end = "the maxima are concentrated, so more restarts would find little more"
    else:
        end = "the maxima are spread out, so restarts matter and more may find more"
    return f"From worst to best restart the loss differs by {percent(middle)} in the median: {end}."


def _maxima(run: Run, key: str) -> dict[str, Figure]:
    maxima = run.figures.get("maxima")
    if not maxima or not any(v is not None for row in maxima["values"] for v in row):
        return {}
    index, values = maxima["index"][:MOST_SAMPLES], maxima["values"][:MOST_SAMPLES]
    restarts = max(len(row) for row in values)
    thinned = restarts > charts.THINNED
    caption = (
        f"Each row is one sample, each dot the {maxima.get('loss', 'loss')} one of "
        f"{count(restarts)} restarts ended at, the bar the highest. {maxima_words(values)}"
    ) + (f" {charts.THINNED} dots per row are shown, evenly spaced in rank." if thinned else "")
    svg = markup(charts.maxima_chart(index, values, f"{key}-max"))
    alt = f"Local maxima of {plural(len(index), 'sample')}. {caption}"
    return {"maxima": Figure(svg, "Local maxima over restarts", alt, caption)}


def _classes(run: Run, key: str) -> dict[str, Figure]:
    label = run.evidence["label"]
    classes = np.unique(label)
    if not 2 <= len(classes) <= MOST_CLASSES or not run.broken.any():
        return {}
    robust = {int(c): 1 - float(run.broken[label == c].mean()) for c in classes}
    weak, strong = min(robust, key=robust.__getitem__), max(robust, key=robust.__getitem__)
    caption = (
        f"Weakest is class {weak} with at most {percent(robust[weak])}, strongest class {strong} "
        f"with at most {percent(robust[strong])}. Classes of few samples scatter widely."
    )
    if robust[weak] == robust[strong]:
        caption = f"Under attack every class keeps at most {percent(robust[weak])}."
    keys = (Key("on clean data", 2, "ring"), Key("under attack, at most", 1, "square"))
    svg = markup(charts.by_class(label, run.clean_wrong, run.broken, f"{key}-class"))
    return {"classes": Figure(svg, "Accuracy by class", caption, caption, keys)}


def _margins(run: Run, key: str, beside: bool) -> dict[str, Figure]:
    margin = run.margin[np.isfinite(run.margin)]
    if len(margin) < 2 or float(np.ptp(margin)) == 0:
        return {}
    kept = margin[margin <= 0]
    scale = float(np.abs(margin).max())
    close = int((kept > -0.1 * scale).sum())
    caption = (
        f"{count(close)} of the {count(len(kept))} that withstood are close to the boundary: "
        "within a tenth of the largest margin. They are the first to fall to a stronger attack."
    )
    keys = (Key("withstood", 3, "box"), Key("broken", 5, "box"))
    height = max(300, 76 + 26 * len(np.unique(run.evidence["label"]))) if beside else 300
    svg = markup(charts.margins_chart(margin, f"{key}-margin", height))
    return {
        "margins": Figure(svg, "How narrowly", f"Histogram of margins. {caption}", caption, keys)
    }


def run_figures(run: Run, key: str) -> dict[str, Figure]:
    """Return the figures one run has data for, by name; ``key`` keeps their ids apart."""
    curves = {
        k: v for axis in ("eps", "steps") for k, v in _curve([run], [run.name], axis, key).items()
    }
    classes = _classes(run, key)
    margins = _margins(run, key, bool(classes))
    return {**curves, **_landscape(run, key), **_maxima(run, key), **classes, **margins}


def overlay(runs: Sequence[Run], labels: Sequence[str]) -> dict[str, Figure]:
    """Return the curves of several runs drawn over each other."""
    return {**_curve(runs, labels, "eps", "all"), **_curve(runs, labels, "steps", "all")}
