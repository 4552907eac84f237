"""The two things an upper bound leaves open: other samples, and stronger attacks on these."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from saddlepoint.audit.report.numerals import count, number, percent, plural, span
from saddlepoint.audit.report.words import noun

__all__ = ["Range", "ranges"]


@dataclass(frozen=True)
class Range:
    """How far the true figure may lie from the upper bound, for one reason.

    ``low`` and ``high`` are shares, and None where nothing was measured.
    """

    key: str
    title: str
    low: float | None
    high: float | None
    covers: str
    how: str

    @property
    def said(self) -> str:
        """The range in words."""
        if self.low is None or self.high is None:
            return "not measured"
        return span([self.low, self.high])


def _population(audit: Mapping[str, Any]) -> Range:
    robust, things = audit["robust_accuracy"], f"{noun(audit)}s"
    interval = robust.get("interval")
    low, high = interval or (None, None)
    level = f"{100 * robust.get('confidence', 0.95):g}\u00a0%"
    return Range(
        "fresh",
        f"Fresh {things} from the same source",
        low,
        high,
        covers=f"Where the same attacks would leave the model on other {things} of this kind. It "
        "says nothing about stronger attacks.",
        how=f"Clopper–Pearson, {level}, from {count(audit['n'])} {things}."  # noqa: RUF001
        if interval
        else "",
    )


def _residual(found: Mapping[str, Any] | None, things: str) -> str:
    if not found or found.get("unseen") is None:
        return ""
    once, twice, ends = found.get("seen_once"), found.get("seen_twice"), found.get("interval")
    seen = (
        f": {count(once)} fell to one arm only, {count(twice)} to just two"
        if once is not None and twice is not None
        else ""
    )
    between = f" ({number(ends[0])} to {number(ends[1])})" if ends else ""
    return (
        f"How often arms broke the same {things} suggests that {number(found['unseen'])}{between} "
        f"breakable ones were found by none{seen}."
    )


def _audited(found: Mapping[str, Any], things: str) -> str:
    met, fell, share = (found.get(k) for k in ("audited", "broken", "share_at_most"))
    if met is None or fell is None:
        return ""
    said = f"{plural(met, 'random survivor')} met the full standard suite, {count(fell)} fell"
    if share is None:
        return f"{said}."
    return f"{said}: at most {percent(share)} of the surviving {things} can, one-sided."


def _incompleteness(audit: Mapping[str, Any]) -> Range:
    robust, things = audit["robust_accuracy"], f"{noun(audit)}s"
    title = f"Stronger attacks on these {things}"
    found = robust.get("incompleteness")
    if not found:
        low = percent(robust["lower"])
        return Range(
            "stronger",
            title,
            None,
            None,
            covers="No survivor met a stronger suite, so how much these attacks missed is unknown. "
            f"The true share may lie anywhere from {low}, as far as is proven, to "
            f"{percent(robust['upper'])}.",
            how="",
        )
    how = found.get("words") or _audited(found, things)
    return Range(
        "stronger",
        title,
        found.get("low"),
        robust["upper"] if found.get("low") is not None else None,
        covers=f"Where the full standard suite would leave the model on these same {things}. It "
        f"says nothing about other {things}, nor about attacks beyond that suite.",
        how=" ".join(filter(None, (how, _residual(found.get("residual"), things)))),
    )


def ranges(audit: Mapping[str, Any]) -> tuple[Range, Range]:
    """Return the interval for the population and the one for what the attacks missed.

    >>> audit = {"n": 100, "data": {"shape": [9]}, "robust_accuracy": {"upper": 0.8, "lower": 0,
    ...          "interval": [0.7, 0.9], "incompleteness": {"audited": 30, "broken": 0,
    ...          "share_at_most": 0.095, "low": 0.724}}}
    >>> for r in ranges(audit):
    ...     print(r.title, "-", r.said.replace("\u00a0", " "))
    Fresh inputs from the same source - 70.0 % to 90.0 %
    Stronger attacks on these inputs - 72.4 % to 80.0 %
    """
    return _population(audit), _incompleteness(audit)
