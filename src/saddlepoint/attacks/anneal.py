"""Settings that fall along a cosine over an attack's steps."""

import math

from saddlepoint.core.errors import Invalid

__all__ = ["anneal", "check_share"]


def anneal(first: float, last: float, k: int, steps: int) -> float:
    """Value at step k of a cosine from ``first`` down to its share ``last`` at the last step.

    >>> [round(anneal(2.0, 0.01, k, 3), 2) for k in range(3)]
    [2.0, 1.01, 0.02]
    """
    turn = math.cos(math.pi * k / max(steps - 1, 1))
    return first * (last + (1 - last) * (1 + turn) / 2)


def check_share(name: str, value: object, below: float) -> None:
    """Raise ``Invalid`` unless ``value`` is a number above 0 and below ``below``."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 < value < below:  # type: ignore[operator]
        top = f"and below {below:g}" if math.isfinite(below) else "and finite"
        raise Invalid(name, value, f"a number above 0 {top}")
