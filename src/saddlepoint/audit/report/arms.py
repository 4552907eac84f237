"""Which arm broke what: an arm is an attack, however often it ran."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saddlepoint.audit.report.run import BROKEN, Run

__all__ = ["Arm", "Overlap", "arms", "newly", "overlap"]

PILOT = "pilot"


@dataclass(frozen=True)
class Arm:
    """What one arm did in all its rounds; ``passes`` are over all samples together.

    tried: samples, counted in each round they met. share: of what the best arm broke.
    per_thousand: breaks per 1,000 passes.
    """

    name: str
    rounds: int
    tried: int
    newly: int
    passes: float
    share: float

    @property
    def per_thousand(self) -> float | None:
        """Breaks per 1,000 passes; None where no pass was spent."""
        return 1000 * self.newly / self.passes if self.passes else None


@dataclass(frozen=True)
class Overlap:
    """Arms on the same ``samples``: (name, broken, broken by no other) of each.

    times: how many samples exactly 0, 1, 2 … arms broke.
    """

    samples: int
    arms: tuple[tuple[str, int, int], ...]
    times: tuple[int, ...]


def newly(row: Mapping[str, Any]) -> int:
    """Return what a round broke that no earlier one had; older files called it ``broken``.

    >>> newly({"broken": 7, "newly_broken": 2}), newly({"broken": 7, "newly_broken": None})
    (2, 7)
    """
    first = row.get("newly_broken")
    return int(row["broken"] if first is None else first)


def arms(audit: Mapping[str, Any]) -> list[Arm]:
    """Group the rounds of an audit by arm, in the order in which the arms first ran."""
    rows = [r for r in audit["attacks"] if "clean" not in (r["spec"], r.get("stage"))]
    grouped: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        grouped.setdefault(row.get("arm") or row["spec"], []).append(row)
    best = max((sum(map(newly, g)) for g in grouped.values()), default=0)
    found = []
    for name, group in grouped.items():
        spent = sum((r["forward"] or 0) + (r["backward"] or 0) for r in group)
        broke, tried = sum(map(newly, group)), sum(r["evaluated"] for r in group)
        share = broke / best if best else 0.0
        found.append(Arm(name, len(group), tried, broke, spent * audit["n"], share))
    return found


def overlap(run: Run) -> Overlap | None:
    """Compare the arms of the pilot, which all met the same samples; None without a pilot."""
    e = run.evidence
    if "stages" not in e or "arms" not in e:
        return None
    rounds = np.flatnonzero(e["stages"] == PILOT)
    n = run.audit["n"]
    met = np.ones(n, dtype=np.bool_)
    fell: dict[str, NDArray[np.bool_]] = {}
    for number in rounds.tolist():
        rows = e["attack"] == number
        met &= np.bincount(e["sample"][rows], minlength=n) > 0
        broken = np.bincount(e["sample"][rows & (e["status"] == BROKEN)], minlength=n) > 0
        name = str(e["arms"][number])
        fell[name] = fell.get(name, np.zeros(n, dtype=np.bool_)) | broken
    if len(fell) < 2 or not met.any():
        return None
    table = np.stack(list(fell.values()))[:, met]
    times = table.sum(0)
    each = zip(fell, table.sum(1).tolist(), (table & (times == 1)).sum(1).tolist(), strict=True)
    return Overlap(int(met.sum()), tuple(each), tuple(np.bincount(times).tolist()))
