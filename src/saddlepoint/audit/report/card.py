"""The threat model in plain words: what the adversary may change, see, ask and want."""

from collections.abc import Mapping
from math import prod, sqrt
from typing import Any

from saddlepoint.audit.paid import paid
from saddlepoint.audit.report.borrowed import borrowed_words
from saddlepoint.audit.report.numerals import (
    GREY_LEVELS,
    number,
    passes,
    percent,
    plural,
    radius,
)
from saddlepoint.audit.report.words import noun
from saddlepoint.core.target import target_words

__all__ = ["card", "size"]

ACCESS = {
    "gradients": "Everything: weights, scores and gradients (white box).",
    "scores": "The scores of every class for any input, but no gradients (black box).",
    "labels": "Only the predicted label for any input (black box).",
    "none": "Nothing of this model: no answer is used to choose an input.",
}


_FREELY = "As often as the plan allows."


def _steps(value: float) -> str:
    levels = value * GREY_LEVELS
    shown = f"{levels:.0f}" if abs(levels - round(levels)) < 0.05 else f"{levels:.1f}"
    return f"{shown} of the {GREY_LEVELS} steps of an 8-bit channel"


def _linf(eps: float, dims: int, width: float, image: bool) -> str:
    if image and width == 1:
        return f"Every value moves by at most {radius(eps, True)}: {_steps(eps)}."
    return f"Every value moves by at most {number(eps)}: {percent(eps / width)} of its range."


def _l2(eps: float, dims: int, width: float, image: bool) -> str:
    each = eps / sqrt(dims)
    tail = f", about {_steps(each)}" if image and width == 1 else ""
    return (
        f"The change has length at most {number(eps)}: one value by {number(min(eps, width))}, or "
        f"all {dims:,} values by {number(each)} each{tail}."
    )


def _l1(eps: float, dims: int, width: float, image: bool) -> str:
    full = number(min(eps / width, dims))
    return (
        f"All changes add up to at most {number(eps)}: {full} of {dims:,} values across "
        f"their whole range, or every value by {number(eps / dims)}."
    )


def _l0(eps: float, dims: int, width: float, image: bool) -> str:
    most = min(eps, dims)
    return f"{number(most)} of {dims:,} values, {percent(most / dims)}, may become anything."


SIZES = {"Linf": _linf, "L2": _l2, "L1": _l1, "L0": _l0}


def size(audit: Mapping[str, Any]) -> str:
    """Return the size of the allowed change in plain words; empty for sets without a radius.

    >>> size({"threat": {"name": "Linf", "eps": 8 / 255}, "data": {"shape": [3, 32, 32]}})
    'Every value moves by at most 8/255: 8 of the 255 steps of an 8-bit channel.'
    """
    threat, eps = audit["threat"], audit["threat"].get("eps")
    shape, box = audit["data"].get("shape"), threat.get("box") or [0.0, 1.0]
    words = SIZES.get(threat.get("name", ""))
    if words is None or eps is None or not shape or box[1] <= box[0]:
        return ""
    return words(eps, prod(shape), box[1] - box[0], noun(audit) == "image")


def _box(threat: Mapping[str, Any]) -> str:
    box = threat.get("box")
    return f"Inputs stay between {number(box[0])} and {number(box[1])}." if box else ""


def _goal(audit: Mapping[str, Any]) -> str:
    goal = audit["threat"].get("goal", "untargeted")
    if goal == "untargeted":
        return "Any wrong answer."
    target = audit["threat"].get("target")
    if target is None:
        return f"{goal}."
    left = (audit.get("counts") or {}).get("at_target") or 0
    kept = f" {plural(left, noun(audit))} of that class already count as not moved." if left else ""
    return f"{target_words(target)}.{kept}"


def _limit(audit: Mapping[str, Any]) -> str:
    most = audit.get("plan", {}).get("max_queries")
    return f"At most {most:,} times for each {noun(audit)}." if most else _FREELY


def _paid(audit: Mapping[str, Any]) -> str:
    usage = audit.get("usage")
    said = paid(usage if isinstance(usage, dict) else None)
    return f"{said}." if said else ""


def card(audit: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the rows of the threat-model card: a question and its answer."""
    threat, cost = audit["threat"], audit["cost"]
    described = threat.get("description") or threat["spec"]
    change = described[:1].upper() + described[1:].rstrip(".") + "."
    access = threat.get("access", "")
    grid = threat.get("quantize")
    rows = [
        ("May change", change),
        ("Which means", " ".join(filter(None, (size(audit), _box(threat))))),
        ("Stored as", f"{grid}: every witness is exact on that grid." if grid else ""),
        ("May see", ACCESS.get(access, f"{access}.")),
        (
            "May ask",
            f"{_limit(audit)} Spent on average: "
            f"{passes(cost['forward'])} forward and {passes(cost['backward'])} backward passes "
            f"for each {noun(audit)}.",
        ),
        ("Has beside it", borrowed_words(audit)),
        ("Paid", _paid(audit)),
        ("Wants", _goal(audit)),
    ]
    return [(question, answer) for question, answer in rows if answer and answer != "."]
