"""How much the verification of an audit may spend, and in which portions."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

from saddlepoint.core.errors import Invalid

__all__ = ["Turn", "Verification"]

_FIRST_SECONDS, _FIRST_SUBPROBLEMS, _GROWTH = 1.0, 64, 4
DEFAULT_SECONDS = 300.0


@dataclass(frozen=True)
class Turn:
    """What one sample may spend before the next one is looked at: whichever ends first."""

    seconds: float
    subproblems: int | None = None


@dataclass(frozen=True)
class Verification:
    """Budget of the verification that follows the attacks.

    seconds: CPU time of the whole stage, over all samples and processes; None, no limit. each: CPU
    time that branch and bound may take for one sample; None lets every sample have 1 s, then those
    that are still open 4 s, 16 s and so on, those with the least bound first. subproblems: how many
    branch and bound may bound for one sample; where this ends a search, and not time, the verdict
    does not depend on the machine. sandwich: how many broken samples are bounded by CROWN, to see
    that no bound contradicts an attack; all of them are by intervals.

    Raises ``Invalid`` for negative numbers, and where nothing limits the work.

    >>> Verification(subproblems=1000, seconds=None).describe()
    {'seconds': None, 'each': None, 'subproblems': 1000}
    """

    seconds: float | None = DEFAULT_SECONDS
    each: float | None = None
    subproblems: int | None = None
    sandwich: int = 32

    def __post_init__(self) -> None:
        for name in ("seconds", "each"):
            _check_seconds(f"verify.{name}", getattr(self, name))
        for name in ("subproblems", "sandwich"):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < 0):
                raise Invalid(f"verify.{name}", value, "a whole number >= 0")
        if self.seconds is None and self.each is None and self.subproblems is None:
            raise Invalid("verify.seconds", None, "a number, unless each or subproblems is one")

    @classmethod
    def of(cls, value: Any) -> "Self | None":  # noqa: ANN401 - what ``audit`` takes as verify
        """Read what ``audit`` takes: nothing, True, seconds, or the settings themselves.

        >>> Verification.of(60).seconds, Verification.of(None), Verification.of(True).seconds
        (60.0, None, 300.0)
        """
        if value is None or value is False or isinstance(value, cls):
            return value or None
        if value is True:
            return cls()
        if not isinstance(value, int | float):
            raise Invalid("verify", value, "True, CPU seconds, or a Verification")
        return cls(seconds=float(value))

    def turns(self) -> Iterator[Turn]:
        """Portions for one sample, each from scratch and larger than the last.

        >>> [t.subproblems for t in Verification(subproblems=1000).turns()]
        [64, 256, 1000]
        """
        if self.each is not None:
            yield Turn(self.each, self.subproblems)
            return
        if self.subproblems is not None:
            count = _FIRST_SUBPROBLEMS
            while count < self.subproblems:
                yield Turn(math.inf, count)
                count *= _GROWTH
            yield Turn(math.inf, self.subproblems)
            return
        seconds = _FIRST_SECONDS
        while True:
            yield Turn(seconds)
            seconds *= _GROWTH

    def describe(self) -> dict[str, Any]:
        """Return what decides the verdicts, as JSON."""
        return {"seconds": self.seconds, "each": self.each, "subproblems": self.subproblems}


def _check_seconds(name: str, value: object) -> None:
    if value is None:
        return
    good = isinstance(value, int | float) and not isinstance(value, bool)
    if not good or not 0 <= value < math.inf:  # type: ignore[operator]
        raise Invalid(name, value, "a number of seconds >= 0")
