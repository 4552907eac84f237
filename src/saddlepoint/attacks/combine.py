"""Attacks made of attacks: restarts, targets, and sequences on one ledger."""

import contextlib
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from saddlepoint.core.access import Attack, Blind, Scores
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Exhausted, Invalid, Unsupported
from saddlepoint.core.goal import Targeted, hide, read
from saddlepoint.core.spec import compact
from saddlepoint.core.threat import ThreatModel
from saddlepoint.core.whole import require_whole

__all__ = ["Restarts", "Sequence", "Targets", "check_attack"]


def check_attack(attack: object) -> None:
    """Raise ``Invalid`` unless ``attack`` is an attack, and not the class of one."""
    if not callable(attack) or isinstance(attack, type):
        raise Invalid("attack", attack, "an attack such as PGD(steps=40)")


@dataclass(frozen=True, repr=False)
class Restarts:
    """Run an attack ``n`` times with fresh randomness; the ledger keeps each sample's worst.

    >>> from saddlepoint.attacks.pgd import PGD
    >>> Restarts(PGD(steps=20), n=3)
    Restarts(PGD(steps=20), n=3)
    """

    attack: Attack[Any]
    n: int = 5

    __repr__ = compact

    def __post_init__(self) -> None:
        require_whole("n", self.n)
        check_attack(self.attack)

    def __call__(self, oracle: Blind[ThreatModel], draw: Draw) -> None:
        """Run every restart on the rows that are still open."""
        for i in range(self.n):
            oracle, draw = oracle.shrink(draw, at=1.0)
            self.attack(oracle, draw.tag("restart", i))


@dataclass(frozen=True, repr=False)
class Targets:
    """Aim an attack at each of the ``n`` classes that score best on the clean input, in turn.

    Every run climbs a targeted goal; a break still means what the ledger's own goal says. With K
    classes there are at most K - 1 targets.

    >>> from saddlepoint.attacks.apgd import APGD
    >>> Targets(APGD(loss="dlr"), n=9)
    Targets(APGD(loss='dlr'))
    """

    attack: Attack[Any]
    n: int = 9

    __repr__ = compact

    def __post_init__(self) -> None:
        require_whole("n", self.n)
        check_attack(self.attack)

    def __call__(self, oracle: Scores[ThreatModel], draw: Draw) -> None:
        """Run the attack once for each target."""
        if getattr(oracle.goal, "sign", 1) < 0:
            self.attack(oracle, draw.tag("target", 0))  # the goal names its target
            return
        if not hasattr(oracle.goal, "label"):
            raise Unsupported("Targets needs a goal with class labels")
        for rank in range(min(self.n, read(oracle.clean, oracle.goal).shape[1] - 1)):
            oracle, draw = oracle.shrink(draw, at=1.0)
            source: Tensor = oracle.goal.label  # type: ignore[attr-defined]
            target = _ranking(read(oracle.clean, oracle.goal), source)[:, rank]
            aimed = oracle.aim(goal=Targeted(target, source))
            self.attack(aimed, draw.tag("target", rank))


def _ranking(scores: Tensor, label: Tensor) -> Tensor:
    """(B, K - 1) classes other than the label, best score first; ties by class index."""
    return hide(scores, label).sort(dim=1, descending=True, stable=True).indices[:, :-1]


@dataclass(frozen=True, repr=False)
class Sequence:
    """Run attacks one after another on one ledger: later ones see only what still stands.

    >>> from saddlepoint.attacks.pgd import FGSM, PGD
    >>> Sequence((FGSM(), PGD()))
    Sequence((FGSM(), PGD()))
    """

    attacks: tuple[Attack[Any], ...]

    __repr__ = compact

    def __post_init__(self) -> None:
        object.__setattr__(self, "attacks", tuple(self.attacks))
        if not self.attacks:
            raise Invalid("attacks", self.attacks, "at least one attack")
        for attack in self.attacks:
            check_attack(attack)

    def __call__(self, oracle: Blind[ThreatModel], draw: Draw) -> None:
        """Run each attack on the rows that are still open."""
        for i, attack in enumerate(self.attacks):
            oracle, draw = oracle.shrink(draw, at=1.0)
            with contextlib.suppress(Exhausted):  # out of gradients is not out of questions
                attack(oracle, draw.tag("attack", i))
