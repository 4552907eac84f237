"""One parameter of a change in environment: its range, and whether that grows with severity."""

from dataclasses import dataclass

__all__ = ["FREE", "LEVEL", "SEED", "SEEDS", "SIGNED", "Axis"]

SEEDS = 1 << 16  # patterns of noise that a random corruption has; float32 counts them exactly


@dataclass(frozen=True)
class Axis:
    """A parameter between ``low`` and ``high``, both times the severity where it is ``graded``.

    whole: it takes whole numbers only.

    >>> Axis(-1, 1).graded, SEED.high
    (True, 65535)
    """

    low: float
    high: float
    graded: bool = True
    whole: bool = False


SIGNED = Axis(-1, 1)
LEVEL = Axis(0, 1)
FREE = Axis(-1, 1, graded=False)
SEED = Axis(0, SEEDS - 1, graded=False, whole=True)
