"""Held-out accuracy of the model as it stands, at the samples and under the check attack."""

import torch
from torch import nn

from saddlepoint.core.door import Door
from saddlepoint.core.search import search
from saddlepoint.train.samples import Samples

__all__ = ["measure"]

BATCH = 512


def measure(model: nn.Module, samples: Samples) -> tuple[float, float]:
    """Return (clean, robust) accuracy in [0, 1]: over all held-out samples, over the attacked ones.

    Robust counts a sample the check did not break. The attack starts from the same random points
    after every epoch, so that epochs are compared by their weights alone. Always in float32.
    Raises ``RuntimeError`` with the attack's traceback when the check itself fails.
    """
    plan, rows = samples.plan, samples.measured()
    with Door(model, verify=False) as door:
        right = [
            (door.scores(x).argmax(1) == y).sum()
            for x, y in zip(torch.split(rows.x, BATCH), torch.split(rows.y, BATCH), strict=True)
        ]
    few = samples.measured(plan.check_n)
    found = search(plan.check, model, few.x, few.y, plan.threat, seed=plan.seed, ids=few.ids.cpu())
    if found.error is not None:
        raise RuntimeError(f"the check {plan.check!r} failed on held-out samples:\n{found.error}")
    return int(torch.stack(right).sum()) / len(rows.y), int((~found.broken).sum()) / len(few.y)
