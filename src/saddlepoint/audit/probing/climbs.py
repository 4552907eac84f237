"""Gradient ascent with more and fewer steps, in smaller and larger sets."""

import math
from typing import Any

import torch

from saddlepoint.attacks import FGSM, PGD, Refine
from saddlepoint.audit.probing.probe import Json, Probe
from saddlepoint.core.errors import Invalid, Unsupported
from saddlepoint.core.threat import Convex, Graded, Gridded

__all__ = ["progress", "radius", "steps", "unbounded"]

MANY = 40
FEW = (1, 5, 20)
SHARES = (0.25, 0.5, 1.0, 2.0)


def steps(p: Probe) -> Json:
    """Samples that one exact step breaks, and that PGD breaks, by its number of steps."""
    p.need_ascent()
    broken = {repr(PGD(steps=k)): p.broken(PGD(steps=k), "climb") for k in FEW}
    if isinstance(p.threat, Convex):
        broken = {repr(FGSM()): p.broken(FGSM(), "climb"), **broken}
    return {"broken": broken}


def progress(p: Probe) -> Json:
    """Margins that one more run of PGD reaches, and how often its gradient was zero.

    A set of few parameters is searched once more by grid and refinement.
    """
    attack: Any = Refine() if isinstance(p.threat, Gridded) else PGD(steps=MANY)
    if isinstance(attack, PGD):
        p.need_gradients()
    ledger = p.run(attack, "climb", early_stop=False).ledger
    return {
        "attack": repr(attack),
        "margin": ledger.margin.tolist(),
        "broken": p.marked(ledger.margin > 0),
        "blind": int((ledger.zero_gradient * 2 > ledger.backward).sum()),
    }


def radius(p: Probe) -> Json:
    """Samples that PGD breaks, by the radius in units of the threat model's own."""
    p.need_ascent()
    broken = {}
    for share in SHARES:
        try:
            broken[f"{share:g}"] = p.broken(PGD(steps=20), "radius", p.resized(share))
        except Invalid:  # wider than the input range
            break
    return {"attack": repr(PGD(steps=20)), "broken": broken}


def _widest(p: Probe) -> Any:  # noqa: ANN401 - a set of the same kind
    """Return the set that holds every input of the range, or one that is a thousand times wider."""
    low, high = p.box
    x = p.bench.x
    if not isinstance(p.threat, Graded):
        raise Unsupported(f"{type(p.threat).__name__} has no radius to change")
    if not math.isfinite(high - low) or p.threat.start(x).shape != x.shape:
        return p.resized(1000.0)
    far = torch.where(x < (low + high) / 2, high - x, low - x)
    return p.threat.at(float(p.threat.size(x, far).max()))


def unbounded(p: Probe) -> Json:
    """Samples that withstand PGD when any input is allowed."""
    p.need_ascent()
    widest = _widest(p)
    ledger = p.run(PGD(steps=MANY), "unbounded", widest).ledger
    return {"attack": repr(PGD(steps=MANY)), "set": repr(widest), "left": p.marked(~ledger.broken)}
