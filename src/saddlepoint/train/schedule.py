"""Learning rates as a pure function of progress, so that a resumed run needs no state for them."""

import math
from collections.abc import Callable

from saddlepoint.core.errors import Invalid, closest

__all__ = ["SCHEDULES", "factor"]

_WARM = 0.3


def _constant(t: float) -> float:
    return 1.0


def _cosine(t: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * t))


def _one_cycle(t: float) -> float:
    return t / _WARM if t < _WARM else _cosine((t - _WARM) / (1 - _WARM))


SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": _constant,
    "cosine": _cosine,
    "one-cycle": _one_cycle,
}


def factor(schedule: str, step: int, steps: int) -> float:
    """Share of the peak learning rate in step ``step`` of ``steps`` (0-based), in (0, 1].

    With t = (step + 1/2) / steps: constant 1; cosine (1 + cos(pi t)) / 2 (1608.03983, eq. 5);
    one-cycle rises linearly until t = 0.3 and then falls along a cosine to 0 (1708.07120). The
    half keeps the first and the last step from being wasted at rate 0.

    >>> [round(factor("one-cycle", k, 10), 2) for k in (0, 2, 3, 9)]
    [0.17, 0.83, 0.99, 0.01]
    """
    if schedule not in SCHEDULES:
        raise Invalid("schedule", schedule, "a known one", closest(schedule, SCHEDULES))
    return SCHEDULES[schedule]((step + 0.5) / steps)
