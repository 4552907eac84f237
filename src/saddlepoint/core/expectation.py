"""What lies between the adversary and the model: a distribution of transformations."""

import math
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid
from saddlepoint.core.spec import compact
from saddlepoint.core.whole import require_whole

__all__ = ["Distribution", "Expectation", "quorum"]


@runtime_checkable
class Distribution(Protocol):
    """Random transformations of inputs, such as turning a picture by a random angle."""

    @property
    def still(self) -> bool:
        """Whether every draw is the identity."""
        ...

    def check(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of a transformed sample; raise ``Invalid`` for samples of no use."""
        ...

    def __call__(self, x: Tensor, draw: Draw) -> Tensor:
        """Transform each sample of x (B, *F) by a draw of its own, differentiably: (B, *G)."""
        ...


@dataclass(frozen=True, repr=False)
class Expectation:
    """Attack and judge inputs as they look after a random transformation t ~ T (1707.07397).

    Attacks climb the mean loss E_t loss(model(t(apply(x, u)))) over ``draws`` fresh draws per
    question (equation 1 of the paper). A point is judged by its success rate over ``trials`` more:
    it breaks its sample where the exact binomial interval of that ``confidence`` lies above
    ``level``, so that chance alone seldom makes a witness. distribution: T; ``views`` has some, and
    ``>>`` joins them in order. Randomness depends on seed, sample id and question alone.

    Raises ``Invalid`` for a distribution that never leaves the identity, for counts below 1, and
    for so few trials that even a point that always works could not be told from ``level``.

    Source: Athalye, Engstrom, Ilyas, Kwok, 1707.07397, section 2.

    >>> from saddlepoint.views import Noise, Rotate
    >>> Expectation(Rotate(30) >> Noise(0.05), draws=8)
    Expectation(Rotate(degrees=30) >> Noise(sigma=0.05), draws=8)
    >>> Expectation(Rotate(30)).quorum
    61
    """

    distribution: Distribution
    draws: int = 16
    trials: int = 100
    level: float = 0.5
    confidence: float = 0.95

    def __post_init__(self) -> None:
        given: object = self.distribution
        if not isinstance(given, Distribution):
            allowed = "a distribution of transformations, such as Rotate(30) >> Noise(0.05)"
            raise Invalid("under", f"<{type(given).__name__}>", allowed)
        if self.distribution.still:
            raise Invalid(
                "under",
                repr(self.distribution),
                "a distribution that leaves the identity at some draw",
                "this one hands every input to the model as it is: leave it out, or widen a range",
            )
        require_whole("draws", self.draws)
        require_whole("trials", self.trials)
        for name in ("level", "confidence"):
            value = getattr(self, name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not 0 < value < 1:
                raise Invalid(name, value, "a share between 0 and 1")
        if self.quorum > self.trials:
            enough = next(n for n in range(1, 1 << 20) if self._quorum(n) <= n)
            raise Invalid(
                "trials",
                self.trials,
                f"at least {enough} for a level of {self.level:g}",
                "with fewer even a point that always works cannot be shown to exceed it",
            )

    __repr__ = compact

    def _quorum(self, trials: int) -> int:
        return quorum(trials, self.level, self.confidence)

    @property
    def quorum(self) -> int:
        """How many of the trials have to succeed."""
        return self._quorum(self.trials)

    @property
    def majority(self) -> int:
        """How many of the draws behind one question are more than ``level`` of them."""
        return math.floor(self.level * self.draws) + 1

    def describe(self) -> dict[str, Any]:
        """Return it as JSON, the distribution as the command line writes it."""
        return {
            "distribution": repr(self.distribution),
            "draws": self.draws,
            "trials": self.trials,
            "level": self.level,
            "confidence": self.confidence,
        }


def quorum(trials: int, level: float, confidence: float) -> int:
    """Least number of successes whose Clopper-Pearson interval lies above ``level``.

    That is the least k with P(X >= k) < (1 - confidence) / 2 for X ~ Binomial(trials, level);
    ``trials + 1`` where no number of successes is enough.

    >>> quorum(100, 0.5, 0.95), quorum(5, 0.5, 0.95), quorum(6, 0.5, 0.95)
    (61, 6, 6)
    """
    tail = 0.0
    for k in range(trials, -1, -1):
        tail += _mass(trials, k, level)
        if tail >= (1 - confidence) / 2:
            return k + 1
    return 0


def _mass(n: int, k: int, p: float) -> float:
    """Chance of k successes in n, by logarithms: the coefficients of large n are no floats."""
    ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return math.exp(ways + k * math.log(p) + (n - k) * math.log1p(-p))
