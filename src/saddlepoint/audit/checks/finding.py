"""What a check says, and what it may read."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from saddlepoint.audit.evidence import Evidence
from saddlepoint.core.threat import Gridded, scattered

__all__ = ["Check", "Finding", "Verdict", "by_chance", "by_grid", "probe", "unmeasured"]

Verdict = Literal["ok", "warn", "fail", "inconclusive"]


@dataclass(frozen=True)
class Finding:
    """One check's verdict, what was measured, what it means and what to do.

    >>> Finding("repeatability", "ok", "identical", "equal questions get equal answers").verdict
    'ok'
    """

    check: str
    verdict: Verdict
    measured: str
    meaning: str
    next_step: str = ""

    def as_json(self) -> dict[str, str]:
        """Return the finding with its field names as keys."""
        return asdict(self)


Check = Callable[[Evidence], Finding]


def by_grid(e: Evidence) -> bool:
    """Whether the set has so few parameters that a grid searches it, and gradients lag behind."""
    return isinstance(e.plan.threat, Gridded)


def by_chance(e: Evidence) -> bool:
    """Whether the set is in pieces, of which random members find what no gradient leads to."""
    return scattered(e.plan.threat)


def probe(e: Evidence, name: str) -> dict[str, Any] | None:
    """Return what a probe measured, or None where it did not or met numbers that are none."""
    said: dict[str, Any] = e.probes.get(name, {"skipped": ""})
    return None if "skipped" in said or None in said.values() else said


def unmeasured(e: Evidence, check: str, name: str) -> Finding:
    """Say why a probe gave nothing."""
    said = e.probes.get(name)
    if said is not None:
        reason = said.get("skipped", "the answers were not finite")
        return Finding(check, "inconclusive", f"not measured: {reason}", "nothing can be said")
    return Finding(
        check,
        "inconclusive",
        "not measured",
        "no sample was there to measure on",
        "audit with --probes 64, and samples that are right when clean",
    )
