"""What an audit will do, as frozen data: two audits with equal plans may share a folder."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from saddlepoint.audit.proving.settings import Verification
from saddlepoint.core.access import Access, Attack
from saddlepoint.core.door import Precision
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid
from saddlepoint.core.expectation import Expectation
from saddlepoint.core.origin import code
from saddlepoint.core.target import Target
from saddlepoint.core.threat import ThreatModel
from saddlepoint.core.whole import is_whole, require_whole

if TYPE_CHECKING:
    from saddlepoint.audit.evidence import Evidence

__all__ = ["Course", "Move", "Plan", "Strategy", "check_queries"]


@dataclass(frozen=True, eq=False)
class Move:
    """The next round: an attack on some samples.

    name: of the attack as the report groups it. stage: why it is run. rows: sample numbers.
    """

    attack: Attack[Any]
    stage: str
    rows: "np.ndarray[Any, Any]"


class Course(Protocol):
    """A strategy under way; it learns from each finished round, and from nothing else."""

    def next(self, evidence: "Evidence") -> Move | None:
        """Return the next round, or None when the audit is done."""
        ...


class Strategy(Protocol):
    """Which attacks to run on which samples, in which order."""

    def check(self, threat: ThreatModel, access: Access) -> None:
        """Raise ``Unsupported`` where an attack does not fit the set or what may be asked."""
        ...

    def begin(self, n: int, seed: int) -> Course:
        """Open a course over n samples."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return what decides the course, as JSON; ``attacks`` lists the attacks."""
        ...


@dataclass(frozen=True)
class Plan:
    """Threat model, strategy, number of samples and seed.

    threat: the set around each sample. strategy: which attacks run on which samples. n: the first
    n samples. access: what the adversary may ask for. precision: of the search; breaks are
    confirmed in the model's own. confidence: of every interval. batch_size: rows per chunk. eot:
    passes of a randomised model behind each answer to an attack. votes: draws behind each verdict.
    verify: budget of the verification after the attacks; None for none. target: the class that the
    adversary wants; None: any other than the label. under: transformations between an input and
    the model, whose counts ``eot`` and ``votes`` then are; None for none. max_queries: forward
    passes that a sample may cost over the whole audit, the clean one included; None: any number.

    Raises ``Invalid`` and ``Unsupported`` at construction.

    >>> from saddlepoint import PGD, Linf
    >>> from saddlepoint.audit.listed import Listed
    >>> Plan(Linf(eps=0.1), Listed((PGD(),)), n=100).describe()["attacks"]
    ['PGD()']
    """

    threat: ThreatModel
    strategy: Strategy
    n: int
    seed: int = 0
    access: Access = "gradients"
    precision: Precision = "float32"
    confidence: float = 0.95
    batch_size: int = 128
    eot: int = 1
    votes: int = 1
    verify: Verification | None = None
    target: Target | None = None
    under: Expectation | None = None
    max_queries: int | None = None

    def __post_init__(self) -> None:
        for name in ("n", "batch_size"):
            require_whole(name, getattr(self, name))
        Draw.of(self.seed, torch.arange(0))  # refuses a bad seed
        if not 0 < self.confidence < 1:
            raise Invalid("confidence", self.confidence, "a number between 0 and 1")
        if self.precision not in ("float32", "bfloat16"):
            raise Invalid("precision", self.precision, "'float32' or 'bfloat16'")
        require_whole("eot", self.eot)
        require_whole("votes", self.votes)
        check_queries(self.max_queries, self.votes + self.eot)
        self.strategy.check(self.threat, self.access)

    def describe(self) -> dict[str, Any]:
        """Return the plan as JSON, in the words that the command line takes."""
        return {
            "threat": repr(self.threat),
            **self.strategy.describe(),
            "n": self.n,
            "seed": self.seed,
            "access": self.access,
            "precision": self.precision,
            "confidence": self.confidence,
            "batch_size": self.batch_size,
            "eot": self.eot,
            "votes": self.votes,
            **code(self.threat, self.strategy),
            # Without them a plan reads as ever, and an earlier run goes on.
            **({} if self.verify is None else {"verify": self.verify.describe()}),
            **({} if self.target is None else {"target": str(self.target)}),
            **({} if self.under is None else {"under": self.under.describe()}),
            **({} if self.max_queries is None else {"max_queries": self.max_queries}),
        }


def check_queries(most: int | None, least: int = 2) -> None:
    """Raise ``Invalid`` unless a sample may be asked about beyond its clean answer.

    least: passes of the clean answer and of one question.
    """
    if most is not None and not is_whole(most, least):
        hint = "the clean input is the first question about a sample"
        if least > 2:
            hint += ", and each takes as many passes as there are draws"
        raise Invalid("max_queries", most, f"a whole number of at least {least}, or None", hint)
