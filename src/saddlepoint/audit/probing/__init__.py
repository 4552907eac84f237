"""Small measurements after the search, for the health checks: what only the model can tell.

Checks read evidence alone. What the rounds of an audit cannot show, such as how the model answers
at random points, is measured here on a few samples, once, and kept in ``probes.json``.
"""

import json
import zlib
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from saddlepoint.audit.probing import climbs, kept, nearby, rivals
from saddlepoint.audit.probing.probe import Json, Probe
from saddlepoint.audit.rounds import Rounds
from saddlepoint.audit.store import write_json
from saddlepoint.core.errors import Invalid, Unsupported
from saddlepoint.core.interrupts import interrupts

__all__ = ["PROBES", "measured"]

FILE = "probes.json"
# Later probes may build on nothing: each draws its own randomness and can be skipped.
PROBES: Final[dict[str, Callable[[Probe], Json]]] = {
    "neighbourhood": nearby.neighbourhood,
    "repeats": nearby.repeats,
    "steps": climbs.steps,
    "progress": climbs.progress,
    "radius": climbs.radius,
    "unbounded": climbs.unbounded,
    "black_box": rivals.black_box,
    "transfer": rivals.transfer,
    "witnesses": kept.witnesses,
    "rounding": kept.rounding,
}


def measured(rounds: Rounds, folder: Path | None, count: int) -> Json:
    """Measure on the first ``count`` samples that are right when clean, or read it if it is there.

    Each probe gives an object, or ``{"skipped": reason}``. ``rows_forward`` and ``rows_backward``
    are their bill, apart from the audit's.
    """
    right = rounds.evidence.fresh()[:count]
    if not count or not len(right):
        return {}
    try:
        return _kept(rounds, None if folder is None else folder / FILE, right, count)
    finally:
        # What a randomised model draws next does not depend on whether the file was there.
        rounds.door.reseed(rounds.plan.seed)


def _kept(rounds: Rounds, path: Path | None, right: "np.ndarray[Any, Any]", count: int) -> Json:
    key = sha256(rounds.evidence.verdict().tobytes() + str(count).encode()).hexdigest()
    if path is not None and (found := _read(path, key)) is not None:
        return found
    # NaN is no JSON: such a number becomes null, and its check inconclusive.
    said = {"key": key, "n": len(right), "index": right.tolist(), **_measure(rounds, right)}
    clean: Json = json.loads(json.dumps(said), parse_constant=lambda _: None)
    if path is not None:
        write_json(path, clean)
    return clean


def _read(path: Path, key: str) -> Json | None:
    """Return an earlier call's measurements, if they are about the same verdicts."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and found.get("key") == key else None


def _measure(rounds: Rounds, right: "np.ndarray[Any, Any]") -> Json:
    plan, rows = rounds.plan, torch.from_numpy(right)
    known = (rounds.samples, rounds.evidence, rounds.journal)
    probe = Probe(rounds.door, plan, *known, rows)
    said: Json = {}
    for i, (name, ask) in enumerate(PROBES.items()):
        rounds.progress("health checks", i, len(PROBES), 0)
        rounds.door.reseed(zlib.crc32(f"{plan.seed} probe {name}".encode()))
        try:
            with interrupts():
                said[name] = ask(probe)
        except Exception as error:  # noqa: BLE001 - the model is foreign code; no probe may cost the result
            said[name] = {"skipped": _reason(error)}
    bill = {"rows_forward": probe.rows_forward, "rows_backward": probe.rows_backward}
    return {**said, **bill}


def _reason(error: Exception) -> str:
    said = str(error).splitlines()[0] if str(error) else ""
    return said if isinstance(error, Unsupported | Invalid) else f"{type(error).__name__}: {said}"
