"""What a comparison of two runs found, and what may be concluded from it."""

from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any, Literal

from saddlepoint.audit.report.versus import chance_words
from saddlepoint.audit.stats import mcnemar, paired_difference

__all__ = ["ClassChange", "Comparison", "Regression", "Side"]

SCHEMA_VERSION = "1.0"
LEVEL = 0.05  # of the test behind every verdict
Regression = Literal["no", "possible", "yes"]


@dataclass(frozen=True)
class Side:
    """One of the two runs in its own words; shares are over all samples, as its audit.json has."""

    folder: str
    model: str
    threat: str
    clean_accuracy: float
    robust_accuracy: float
    interval: tuple[float, float] | None
    undecided: int


@dataclass(frozen=True)
class ClassChange:
    """The decided samples of one class: n of them, and how many are robust in either run."""

    label: int
    n: int
    robust_first: int
    robust_second: int
    newly_broken: int
    newly_safe: int


@dataclass(frozen=True, repr=False)
class Comparison:
    """What became of each sample from the first run to the second.

    first, second: the runs in their own words. n: samples, of which robust_in_both and
    broken_in_both are as they were; classes: the same counts class by class. newly_broken: robust
    in the first and broken in the second, as data-set indices. newly_safe: the other way round.
    undecided: nothing broke them, but in one run an attack failed on them or none was run; they are
    neither, and ``may_be_broken`` of them could be newly broken. notes: why the runs may not be
    comparable.

    >>> runs = [Side(name, "net", "Linf(eps=0.1)", 1.0, 0.9, None, 0) for name in ("old", "new")]
    >>> found = Comparison(*runs, "a" * 64, 20, 17, 1, (3,), (7,), (), 0, (), ())
    >>> found.difference, found.p, found.regression
    (0.0, 1.0, 'no')
    """

    first: Side
    second: Side
    data: str
    n: int
    robust_in_both: int
    broken_in_both: int
    newly_broken: tuple[int, ...]
    newly_safe: tuple[int, ...]
    undecided: tuple[int, ...]
    may_be_broken: int
    classes: tuple[ClassChange, ...]
    notes: tuple[str, ...]

    @property
    def decided(self) -> int:
        """How many samples are either broken or robust in both runs."""
        return self.n - len(self.undecided)

    @property
    def difference(self) -> float | None:
        """Robust accuracy of the second run minus that of the first, over decided samples."""
        if not self.decided:
            return None
        return (len(self.newly_safe) - len(self.newly_broken)) / self.decided

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % interval of the difference (Tango 1998)."""
        if not self.decided:
            return None
        return paired_difference(
            len(self.newly_safe), len(self.newly_broken), self.decided, 1 - LEVEL
        )

    @property
    def p(self) -> float:
        """Of the exact McNemar test: would luck split the changed samples as unevenly?"""
        return mcnemar(len(self.newly_broken), len(self.newly_safe))

    @property
    def regression(self) -> Regression:
        """Whether the second run is worse by more than luck explains (p < 0.05).

        possible: it would be if every undecided sample that may be newly broken were.
        """
        broken, safe = len(self.newly_broken), len(self.newly_safe)
        if broken > safe and self.p < LEVEL:
            return "yes"
        broken += self.may_be_broken
        return "possible" if broken > safe and mcnemar(broken, safe) < LEVEL else "no"

    @property
    def verdict(self) -> str:
        """The outcome in one sentence."""
        if not self.decided:
            return "no sample was decided in both runs: nothing can be said"
        broken, safe = len(self.newly_broken), len(self.newly_safe)
        if not broken and not safe:
            return f"no change in any of {self.decided:,} samples decided in both runs"
        word = "worse" if broken > safe else "better" if safe > broken else "the same"
        return (
            f"{word}: of {self.decided:,} samples decided in both runs, {broken:,} newly broken "
            f"and {safe:,} newly safe: {chance_words(self.p)}"
        )

    def as_json(self) -> dict[str, Any]:
        """Return the object of compare.json; its schema is compare.schema.json beside this file."""
        found = asdict(self, dict_factory=_lists)
        runs = [found.pop("first"), found.pop("second")]
        return {
            "schema_version": SCHEMA_VERSION,
            "saddlepoint": metadata.version("saddlepoint"),
            "runs": runs,
            **found,
            "decided": self.decided,
            "difference": self.difference,
            "interval": None if self.interval is None else list(self.interval),
            "confidence": 1 - LEVEL,
            "p": self.p,
            "regression": self.regression,
            "verdict": self.verdict,
        }

    def __repr__(self) -> str:
        return f"Comparison({self.verdict})"


def _lists(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON knows no tuples."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in fields}
