"""Numbers as a reader sees them: one decimal for percentages, commas in counts."""

import math

__all__ = ["count", "duration", "number", "passes", "percent", "plural", "radius", "rate", "span"]

GREY_LEVELS = 255
GAP = "\u00a0"  # a number and its unit stay on one line


def percent(share: float | None) -> str:
    """Return a share as a percentage with one decimal; a dash where there is none.

    >>> percent(0.846).replace(GAP, " ")
    '84.6 %'
    """
    if share is None or not math.isfinite(share):
        return "–"  # noqa: RUF001 - the dash of an empty table cell
    return f"{100 * share:.1f}{GAP}%"


def span(interval: list[float] | None) -> str:
    """Return an interval of shares in words.

    >>> span([0.822, 0.868]).replace(GAP, " ")
    '82.2 % to 86.8 %'
    """
    return "" if interval is None else f"{percent(interval[0])} to {percent(interval[1])}"


def count(value: float | None) -> str:
    """Return a whole number with thousands separated.

    >>> count(300100)
    '300,100'
    """
    return "–" if value is None else f"{value:,.0f}"  # noqa: RUF001


def number(value: float | None) -> str:
    """Return a number with at most four significant digits.

    >>> number(0.30000001), number(1234.5), number(88.04)
    ('0.3', '1,234', '88.04')
    """
    if value is None or not math.isfinite(value):
        return "–"  # noqa: RUF001
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def passes(value: float | None) -> str:
    """Return a mean number of passes, with one decimal so that columns line up.

    >>> passes(88.04), passes(1)
    ('88.0', '1.0')
    """
    return "–" if value is None else f"{value:,.1f}"  # noqa: RUF001


def rate(value: float | None) -> str:
    """Return a rate with two significant digits, so that it does not look exact.

    >>> rate(2.241), rate(0.02234), rate(0)
    ('2.2', '0.022', '0')
    """
    return number(value if value is None or not math.isfinite(value) else float(f"{value:.2g}"))


def plural(value: int, noun: str) -> str:
    """Return a count with its noun.

    >>> plural(1, "witness"), plural(2, "image")
    ('1 witness', '2 images')
    """
    if value == 1:
        return f"1 {noun}"
    return f"{count(value)} {noun}{'es' if noun.endswith('s') else 's'}"


def duration(seconds: float | None) -> str:
    """Return a time as a person would say it.

    >>> [duration(s).replace(GAP, " ") for s in (0.1, 40.2, 754, 7320)]
    ['0.1 s', '40.2 s', '12 min 34 s', '2 h 2 min']
    """
    if seconds is None or not math.isfinite(seconds):
        return "–"  # noqa: RUF001
    if seconds < 60:
        return f"{seconds:.1f}{GAP}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}{GAP}min {rest}{GAP}s"
    return f"{minutes // 60}{GAP}h {minutes % 60}{GAP}min"


def radius(eps: float, in_steps: bool = False) -> str:
    """Return a radius as users write it: in 255ths where it is a whole number of them.

    >>> radius(8 / 255, in_steps=True), radius(0.3, in_steps=True), radius(0.3)
    ('8/255', '0.3', '0.3')
    """
    steps = eps * GREY_LEVELS
    whole = in_steps and steps >= 0.5 and abs(steps - round(steps)) < 1e-4
    # 51/255 is 0.2: the shorter spelling wins unless the fraction is the usual small one.
    if whole and round(steps) <= 32:
        return f"{round(steps)}/{GREY_LEVELS}"
    return number(eps)
