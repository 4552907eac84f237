"""Where a detector's alarm goes off: a threshold that clean inputs seldom pass."""

import math

from torch import Tensor

from saddlepoint.core.errors import Invalid

__all__ = ["threshold"]


def threshold(scores: Tensor, false_alarms: float) -> float:
    """Return the smallest score that at most a share ``false_alarms`` of clean inputs lies above.

    scores: (N,) of clean inputs that the defence was not trained on, higher is more suspicious.
    Raises ``Invalid`` for a share outside [0, 1) and for scores that are no numbers.

    Source: Xu, Evans, Qi, 1704.01155.

    >>> import torch
    >>> threshold(torch.arange(100.0), 0.05)
    94.0
    """
    if not 0 <= false_alarms < 1:
        raise Invalid("false_alarms", false_alarms, "a share in [0, 1)", "0.05 is usual")
    if scores.dim() != 1 or not len(scores) or not bool(scores.isfinite().all()):
        raise Invalid(
            "scores", f"<shape {tuple(scores.shape)}>", "finite, one for each clean input"
        )
    above = math.floor(false_alarms * len(scores) + 1e-9)
    return float(scores.sort(descending=True).values[above])
