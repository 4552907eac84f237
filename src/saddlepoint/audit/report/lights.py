"""The findings as traffic lights: how many of each colour, and the worst first."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["LIGHTS", "Light", "lights", "summary"]

LIGHTS = ("fail", "warn", "inconclusive", "ok")  # what needs action comes first
MEANING = {
    "fail": "the figures above cannot be relied on until this is settled",
    "warn": "the figures above may be too high",
    "inconclusive": "nothing can be said",
    "ok": "nothing found",
}


@dataclass(frozen=True)
class Light:
    """The findings of one verdict."""

    verdict: str
    meaning: str
    findings: tuple[Mapping[str, Any], ...]


def lights(audit: Mapping[str, Any]) -> list[Light]:
    """Group findings by verdict; one that this version does not know is inconclusive.

    >>> [x.verdict for x in lights({"findings": [{"verdict": "ok"}, {"verdict": "purple"}]})]
    ['inconclusive', 'ok']
    """
    grouped: dict[str, list[Mapping[str, Any]]] = {verdict: [] for verdict in LIGHTS}
    for finding in audit["findings"]:
        known = finding["verdict"] if finding["verdict"] in grouped else "inconclusive"
        grouped[known].append(finding)
    return [Light(v, MEANING[v], tuple(found)) for v, found in grouped.items() if found]


def summary(audit: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Return how many findings have each verdict, all four of them.

    >>> summary({"findings": [{"verdict": "ok"}]})
    [('ok', 1), ('warn', 0), ('fail', 0), ('inconclusive', 0)]
    """
    count = {light.verdict: len(light.findings) for light in lights(audit)}
    return [(verdict, count.get(verdict, 0)) for verdict in ("ok", "warn", "fail", "inconclusive")]
