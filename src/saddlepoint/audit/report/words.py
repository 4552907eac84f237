"""The sentences of a report: attacks bound robustness from above, proofs alone from below."""

from collections.abc import Mapping
from typing import Any

from saddlepoint.audit.report.numerals import count, percent, plural, span

__all__ = [
    "broken_share",
    "interrupted",
    "noun",
    "proven",
    "samples",
    "unsettled",
    "verdict",
]

Audit = Mapping[str, Any]


def noun(audit: Audit) -> str:
    """Return what the samples are: an image has channels, height and width.

    >>> noun({"data": {"shape": [1, 28, 28]}}), noun({"data": {"shape": [30]}})
    ('image', 'input')
    """
    shape = audit["data"].get("shape") or []
    return "image" if len(shape) == 3 and shape[0] in (1, 3) else "input"


def samples(audit: Audit) -> str:
    """Return how many samples of which split there are."""
    split = audit["data"].get("split")
    kind = f"{split} {noun(audit)}" if split else noun(audit)
    return plural(audit["n"], kind)


def _interval(audit: Audit) -> str:
    robust = audit["robust_accuracy"]
    if not robust.get("interval"):
        return ""
    level = 100 * robust.get("confidence", 0.95)
    return f" ({level:g}\u00a0% interval {span(robust['interval'])})"


def broken_share(audit: Audit, witnesses: int) -> str:
    """Say how many samples were broken, and whether each has a stored witness."""
    broken, wrong = audit["counts"]["broken"], audit["counts"].get("clean_wrong") or 0
    if broken == 0:
        return "none was broken, which does not prove that none can be"
    verb = "was" if broken == 1 else "were"
    who = f"all {count(broken)}" if 1 < broken == audit["n"] else count(broken)
    if witnesses >= broken - wrong:  # an input that is wrong as it is bears witness itself
        proof = "with a witness" if broken == 1 else "each with a witness"
    else:
        proof = f"{count(witnesses)} of them with a stored witness"
    aimed = (audit.get("threat") or {}).get("target")
    done, failed = ("moved to the target", "are there") if aimed else ("broken", "fail")
    clean = f"; {count(wrong)} of these {failed} without any change" if wrong else ""
    return f"{who} {verb} {done}, {proof}{clean}"


def verdict(audit: Audit, witnesses: int) -> str:
    """Return the report's first sentence; ``witnesses`` are those stored with the run.

    >>> audit = {"n": 10, "data": {"split": "test", "shape": [1, 8, 8]}, "counts": {"broken": 4},
    ...          "robust_accuracy": {"upper": 0.6}}
    >>> print(verdict(audit, 4).replace("\u00a0", " "))  # doctest: +NORMALIZE_WHITESPACE
    Of 10 test images, at most 60.0 % withstand this adversary; 4 were broken, each with a
    witness.
    """
    robust = audit["robust_accuracy"]
    upper, lower = percent(robust["upper"]), robust.get("lower") or 0
    least = f"at least {percent(lower)} and " if lower else ""
    bound = f"Of {samples(audit)}, {least}at most {upper} withstand this adversary"
    bound += f"{_interval(audit)}; "
    return bound + broken_share(audit, witnesses) + "."


def proven(audit: Audit) -> str:
    """Return the lower bound in words, and why it is 0 when nothing was proven."""
    lower, found = audit["robust_accuracy"]["lower"], audit.get("verification")
    why = "" if found else " (no verification was run)"
    if found and found.get("reason"):
        why = " (not verified)"
    return f"proven: {percent(lower)}" + ("" if lower > 0 else why)


def interrupted(audit: Audit) -> str:
    """Return the warning of a run that did not finish; empty for a complete one."""
    if audit["status"] == "complete":
        return ""
    left = sum(row.get("not_run") or 0 for row in audit["attacks"][-1:])
    rest = audit["counts"].get("not_run") or 0
    waiting = f" {plural(rest, noun(audit))} met no attack at all." if rest else ""
    if not rest and left:
        waiting = " Some attacks of the plan did not reach every sample."
    return (
        f"This run is {audit['status']}: it stopped before its plan was done.{waiting} What was "
        "not attacked counts as withstanding, so the true figure can only be lower. The same "
        "command continues it."
    )


def unsettled(audit: Audit) -> str:
    """Return what errors leave open; empty when no attack failed."""
    errors = audit["counts"].get("error") or 0
    if not errors:
        return ""
    verb = "is" if errors == 1 else "are"
    return (
        f"{plural(errors, noun(audit))} {verb} inconclusive, because an attack failed on "
        f"{'it' if errors == 1 else 'them'}. Inconclusive never means robust: see the table of "
        "attacks for the messages."
    )
