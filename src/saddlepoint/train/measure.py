"""Held-out accuracy of the model as it stands, at the samples and under the check attack."""

from typing import Any

import torch
from torch import nn

from saddlepoint.core.access import Attack
from saddlepoint.core.door import Door
from saddlepoint.core.search import search
from saddlepoint.train.samples import Samples

__all__ = ["measure"]

BATCH = 512


def measure(
    model: nn.Module, samples: Samples, attack: Attack[Any] | None
) -> tuple[float, float, float | None]:
    """Return (clean, robust, own) accuracy in [0, 1] on held-out samples.

    clean: over all of them, in float32. robust: over those attacked by the plan's check. own: the
    same under ``attack``, the one trained with (None: not asked). Each counts a sample that was not
    broken; a search in low precision is confirmed in float32. The attacks start from the same
    random points after every epoch, so that epochs are compared by their weights alone. Raises
    ``RuntimeError`` with the attack's traceback when one fails.
    """
    rows = samples.measured()
    with Door(model, verify=False) as door:
        right = [
            (door.scores(x).argmax(1) == y).sum()
            for x, y in zip(torch.split(rows.x, BATCH), torch.split(rows.y, BATCH), strict=True)
        ]
    clean = int(torch.stack(right).sum()) / len(rows.y)
    robust = _survive(model, samples, samples.plan.check, "check")
    own = None if attack is None else _survive(model, samples, attack, "training attack")
    return clean, robust, own


def _survive(model: nn.Module, samples: Samples, attack: Attack[Any], what: str) -> float:
    plan, few = samples.plan, samples.measured(samples.plan.check_n)
    found = search(
        attack,
        model,
        few.x,
        few.y,
        plan.threat,
        seed=plan.seed,
        ids=few.ids.cpu(),
        precision=plan.precision,
    )
    if found.error is not None:
        raise RuntimeError(f"the {what} {attack!r} failed on held-out samples:\n{found.error}")
    return int((~found.broken).sum()) / len(few.y)
