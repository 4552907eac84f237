"""One cell of the study of corruptions: a net, a corruption, a severity."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saddlepoint.audit.stats import clopper_pearson
from saddlepoint.core.door import Door, Model
from saddlepoint.core.draw import Draw
from saddlepoint.studies.corruptions_plan import CorruptionsPlan
from saddlepoint.studies.measure import Row
from saddlepoint.threats import Corruption
from saddlepoint.threats.environment import CORRUPTIONS

__all__ = ["measure_corruption", "right_on", "summary", "unpacked"]

_BATCH = 500
Bits = np.ndarray[Any, Any]


def right_on(model: Model, x: Tensor, y: Tensor) -> Bits:
    """(B,) bool: where the model names the label."""
    right = []
    with Door(model) as door:
        for first in range(0, len(x), _BATCH):
            part = slice(first, first + _BATCH)
            out = door.scores(door.fit(x[part]))
            right.append((out.argmax(1).cpu() == y[part]).numpy())
    return np.concatenate(right)


def patterns(plan: CorruptionsPlan, threat: Corruption, x: Tensor) -> Iterator[Tensor]:
    """Corrupted inputs, one batch (B, *F) per draw: all at the set's severity, patterns at random.

    A sample's pattern depends on seed, sample and draw, and is that of every model and severity.
    """
    draws = plan.draws if CORRUPTIONS[threat.name].seeded else 1
    draw = Draw.of(plan.seed, torch.arange(len(x)))
    for k in range(draws):
        t = draw.tag("pattern", threat.name, k).uniform(len(threat.axes()))
        t[:, 0] = 1.0
        yield torch.cat(
            [
                threat.apply(part, threat.place(part, t[first : first + _BATCH]))
                for first, part in ((i, x[i : i + _BATCH]) for i in range(0, len(x), _BATCH))
            ]
        )


def measure_corruption(
    plan: CorruptionsPlan, model: Model, x: Tensor, y: Tensor, name: str, severity: float
) -> Row:
    """Return the row of a cell.

    accuracy: mean over the draws, with the exact 95 % interval of each. worst: share of the samples
    that are right under every draw. withstood: which, packed to bits, in hexadecimal.
    """
    threat = Corruption(name, severity=severity)
    right = np.stack([right_on(model, moved, y) for moved in patterns(plan, threat, x)])
    always = right.all(0)
    return {
        "corruption": name,
        "severity": severity,
        "draws": len(right),
        "n": len(y),
        "accuracy": float(right.mean()),
        "of_draws": [float(one.mean()) for one in right],
        "worst": float(always.mean()),
        "interval": list(clopper_pearson(int(always.sum()), len(y))),
        "withstood": np.packbits(always).tobytes().hex(),
    }


def unpacked(row: Mapping[str, Any]) -> Bits:
    """(n,) bool: the samples that withstood a cell."""
    packed = np.frombuffer(bytes.fromhex(row["withstood"]), dtype=np.uint8)
    return np.unpackbits(packed, count=row["n"]).astype(np.bool_)


def summary(plan: CorruptionsPlan, rows: list[Mapping[str, Any]], clean: Bits) -> dict[str, Any]:
    """Return what a net's cells come to.

    clean: accuracy on the samples as they are. mean: over corruptions, each the mean over
    severities. worst: mean of the cells' worst. all: share of the samples that are right as they
    are and in every cell and draw. corruptions: mean over severities of each.
    """
    by_name = {
        name: [row for row in rows if row["corruption"] == name]
        for name in plan.names
        if any(row["corruption"] == name for row in rows)
    }
    means = {k: float(np.mean([r["accuracy"] for r in part])) for k, part in by_name.items()}
    standing = clean.copy()
    for row in rows:
        standing &= unpacked(row)
    return {
        "clean": float(clean.mean()),
        "mean": float(np.mean(list(means.values()))) if means else None,
        "worst": float(np.mean([r["worst"] for r in rows])) if rows else None,
        "all": float(standing.mean()) if rows else None,
        "corruptions": means,
    }
