"""The plain strategy: attacks in the given order, each on all that still stands."""

from dataclasses import dataclass
from typing import Any

from saddlepoint.audit.evidence import Evidence
from saddlepoint.audit.plan import Course, Move
from saddlepoint.core.access import Access, Attack, check_fit
from saddlepoint.core.errors import Invalid
from saddlepoint.core.threat import ThreatModel

__all__ = ["Listed"]


@dataclass(frozen=True)
class Listed:
    """Attacks one after another; suite: the name under which they are known, if any.

    >>> from saddlepoint import FGSM, PGD
    >>> Listed((FGSM(), PGD())).describe()
    {'attacks': ['FGSM()', 'PGD()']}
    """

    attacks: tuple[Attack[Any], ...]
    suite: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "attacks", tuple(self.attacks))
        if not self.attacks:
            raise Invalid("attacks", self.attacks, "at least one attack")

    def check(self, threat: ThreatModel, access: Access) -> None:
        """Raise ``Unsupported`` where an attack does not fit."""
        for attack in self.attacks:
            check_fit(attack, threat, access)

    def begin(self, n: int, seed: int) -> Course:
        """Start with the first attack."""
        return self

    def next(self, evidence: Evidence) -> Move | None:
        """Return the attack after those that were run."""
        done = len(evidence.attacks)
        if done == len(self.attacks):
            return None
        return Move(self.attacks[done], "attack", evidence.open_rows())

    def describe(self) -> dict[str, Any]:
        """Return the attacks as the command line takes them."""
        named = {"suite": self.suite} if self.suite else {}
        return {**named, "attacks": [repr(a) for a in self.attacks]}
