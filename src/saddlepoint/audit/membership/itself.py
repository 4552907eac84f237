"""The judgement of a set that no independent check knows: its own, in float64."""

from typing import Any

import numpy as np
import torch

from saddlepoint.audit.membership.kind import Array, widen
from saddlepoint.core.threat import MEMBER

__all__ = ["by_itself"]

_SAME = 1e-5  # x_adv was made in float32, and is made again in float64


def by_itself(
    x: Array,
    u: Array | None,
    x_adv: Array,
    threat: Any,  # noqa: ANN401
    rows: Array,
) -> list[str]:
    """Say for each row what is wrong: u is not in the set, or does not make x_adv of x.

    The set's own ``contains`` and ``apply`` decide, so that a mistake in them goes unnoticed.
    """
    if not len(x):
        return []
    moved = torch.from_numpy(widen(x_adv))
    clean = torch.from_numpy(x.astype(np.float64))
    way = moved - clean if u is None else torch.from_numpy(u.astype(np.float64))
    sets = threat[torch.from_numpy(rows)]
    inside = sets.contains(clean, way, MEMBER)
    gap = (sets.apply(clean, way) - moved).abs().reshape(len(x), -1).amax(1)
    low, high = getattr(threat, "box", (0.0, 1.0))
    slack = _SAME * max(1.0, min(high - low, 1e6))
    return [
        _fault(bool(ok), float(off), slack)
        for ok, off in zip(inside.tolist(), gap.tolist(), strict=True)
    ]


def _fault(inside: bool, gap: float, slack: float) -> str:
    if not inside:
        return "its parameters are not in the set"
    return "" if gap <= slack else f"its parameters make another input, {gap:g} away"
