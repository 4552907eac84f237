"""How the model answers beside the samples, and when it is asked again."""

import math
from typing import Any

import torch

from saddlepoint.audit.probing.probe import Json, Probe
from saddlepoint.core.shapes import INF
from saddlepoint.core.threat import Graded
from saddlepoint.threats import Linf

__all__ = ["neighbourhood", "repeats"]

POINTS = 100
RADIUS = 8 / 255
PASSES = 5


def _small(p: Probe) -> tuple[Any, float]:
    """Return the set with a radius of 8/255 of the input range, and that radius.

    A set without sizes, such as a patch, has no small members: a ball stands in for it. Where the
    range has no end it is the set itself, and no radius.
    """
    radius = RADIUS * (p.box[1] - p.box[0])
    if not math.isfinite(radius):
        return p.threat, 0.0
    sized = isinstance(p.threat, Graded)
    return (p.threat.at(radius) if sized else Linf(radius, box=p.box)), radius


def neighbourhood(p: Probe) -> Json:
    """Mean relative change of the loss over random points, each at most 1 (2106.09947, I2).

    The loss is the margin in logits: its relative change has no scale, where that of cross-entropy
    grows with the model's confidence.
    """
    threat, radius = _small(p)
    x, start = p.bench.x, p.threat.start(p.bench.x)
    usual = p.margin(p.threat.apply(x, start))
    total = torch.zeros_like(usual)
    for i in range(POINTS):
        moved = threat.apply(x, threat.sample(x, p.draw.tag("nearby", i)))
        change = (p.margin(moved) - usual).abs() / usual.abs().clamp_min(1e-12)
        total += change.nan_to_num(1.0, 1.0).clamp(max=1.0)
    return {"points": POINTS, "radius": radius, "change": float(total.mean()) / POINTS}


def repeats(p: Probe) -> Json:
    """Samples whose class differs between passes that ask the same."""
    out = torch.stack([p.scores(p.bench.x.clone()) for _ in range(PASSES)])
    classes = out.argmax(2)
    largest = out.abs().amax().clamp(1e-12, INF)
    return {
        "passes": PASSES,
        "disagree": int((classes != classes[0]).any(0).sum()),
        "gap": float((out - out[0]).abs().amax() / largest),
    }
