"""The audit's own witnesses: are they all there, and do they survive being saved as images?"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from saddlepoint.audit.probing.probe import Json, Probe
from saddlepoint.core.errors import Unsupported
from saddlepoint.core.ledger import Status
from saddlepoint.core.threat import Convex, parametric
from saddlepoint.threats import Quantize

__all__ = ["rounding", "witnesses"]

MOST = 256


def witnesses(p: Probe) -> Json:
    """How many broken samples have a witness on record."""
    held = np.zeros(p.evidence.n, dtype=np.bool_)
    for round_ in range(len(p.evidence.rounds)):
        for record in p.journal.records(round_):
            held[record["witness_rows"][record["faults"] == ""]] = True
    broken = p.evidence.marked(Status.BROKEN)
    return {"broken": int(broken.sum()), "without": np.flatnonzero(broken & ~held).tolist()}


def _first(p: Probe) -> tuple[Tensor, Tensor]:
    """Sample numbers and witnesses of the first samples that an attack broke."""
    found: dict[int, Tensor] = {}
    for round_ in range(1, len(p.evidence.rounds)):
        for record in p.journal.records(round_):
            good = record["faults"] == ""
            for row, x in zip(record["witness_rows"][good], record["witness"][good], strict=True):
                found.setdefault(int(row), torch.from_numpy(np.array(x)))
    rows = sorted(found)[:MOST]
    if not rows:
        raise Unsupported("no attack broke a sample")
    return torch.tensor(rows), torch.stack([found[r] for r in rows])


def rounding(p: Probe) -> Json:
    """Witnesses that the model still errs on after rounding to 8 bits, towards x."""
    if p.box != (0.0, 1.0):
        raise Unsupported("only inputs in [0, 1] are saved as 8-bit images")
    rows, moved = _first(p)
    if moved.dtype == torch.uint8:  # the audit searched among 8-bit images
        return {"witnesses": len(rows), "hold": len(rows)}
    x, y = p.samples.batch(rows)
    if float((x * 255 - (x * 255).round()).abs().max()) > 1e-3:
        raise Unsupported("the inputs themselves are no 8-bit images")
    door = p.bench.door
    x, moved = door.fit(x), door.fit(moved)
    inner: Any = getattr(p.plan.threat, "threat", p.plan.threat)
    if isinstance(inner, Convex) and not parametric(inner):
        saved = Quantize(inner).apply(x, moved - x)
    else:  # towards x would leave the set as well: there is no nearer member to save
        saved = (moved * 255).round() / 255
    hold = p.judged(saved, y.to(x.device), rows)
    return {"witnesses": len(rows), "hold": int(hold.sum())}
