"""Attacks on sets made of sets: one part, or each in turn."""

import contextlib
from dataclasses import dataclass
from typing import Any

from saddlepoint.attacks.combine import check_attack
from saddlepoint.core.access import Attack, Blind, held_by
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Exhausted, Invalid, Unsupported
from saddlepoint.core.spec import compact
from saddlepoint.core.threat import Parted, ThreatModel, parted

__all__ = ["Each", "PartOf", "everywhere"]


def everywhere(attack: Attack[Any], threat: object) -> Attack[Any]:
    """Return the attack for every part of a set that has some, unless it chooses among them itself.

    >>> from saddlepoint.attacks.pgd import FGSM
    >>> from saddlepoint.threats import L2, Linf
    >>> everywhere(FGSM(), Linf(0.1) | L2(1)), everywhere(FGSM(), Linf(0.1))
    (Each(FGSM()), FGSM())
    """
    return Each(attack) if isinstance(threat, Parted) and not _chooses(attack) else attack


def _chooses(attack: object) -> bool:
    return hasattr(attack, "inside") or any(map(_chooses, held_by(attack)))


@dataclass(frozen=True, repr=False)
class PartOf:
    """Run an attack in part ``k`` of a set that has parts, numbered from 0, and in no other.

    The attack sees a set like any other, and may ask for what that one has: ``FGSM`` climbs the
    ball of a union although the union is not convex.

    >>> from saddlepoint.attacks.pgd import FGSM
    >>> PartOf(FGSM(), k=1)
    PartOf(FGSM(), k=1)
    """

    attack: Attack[Any]
    k: int

    __repr__ = compact

    def __post_init__(self) -> None:
        check_attack(self.attack)
        if not isinstance(self.k, int) or isinstance(self.k, bool) or self.k < 0:
            raise Invalid("k", self.k, "the number of a part, from 0")

    def inside(self, threat: Any) -> list[tuple[Attack[Any], Any]]:  # noqa: ANN401
        """Return the attack with the set that it meets; raises ``Unsupported`` for no such part."""
        return [(self.attack, parted(threat, self.k).parts[self.k])]

    def __call__(self, oracle: Blind[Parted], draw: Draw) -> None:
        """Run it on the part."""
        self.attack(oracle.within(self.k), draw)


@dataclass(frozen=True, repr=False)
class Each:
    """Run an attack on every part of a set, on one ledger; on a set without parts, as it is.

    attack: one for all parts, or a tuple with one for each. Each part is searched by itself from
    the same random numbers as that attack alone would use, so that the whole is never safer than
    its weakest part. Where parts follow on each other, every later one is then searched again,
    around the worst that those before it have done. A union is attacked like this in 1904.13000,
    section 3.

    >>> from saddlepoint.attacks.pgd import FGSM, PGD
    >>> Each(PGD(steps=20)), Each((PGD(steps=20), FGSM()))
    (Each(PGD(steps=20)), Each((PGD(steps=20), FGSM())))
    """

    attack: Attack[Any] | tuple[Attack[Any], ...]

    __repr__ = compact

    def __post_init__(self) -> None:
        for attack in self._all():
            check_attack(attack)

    def _all(self) -> tuple[Attack[Any], ...]:
        return self.attack if isinstance(self.attack, tuple) else (self.attack,)

    def inside(self, threat: Any) -> list[tuple[Attack[Any], Any]]:  # noqa: ANN401
        """Return each attack with the set that it meets."""
        parts = threat.parts if isinstance(threat, Parted) else (threat,)
        attacks = self._all() if isinstance(self.attack, tuple) else self._all() * len(parts)
        if len(attacks) != len(parts):
            said = f"{self!r} has {len(attacks)} attacks for {threat!r}, which has {len(parts)} "
            raise Unsupported(said + ("parts" if isinstance(threat, Parted) else "part: itself"))
        return list(zip(attacks, parts, strict=True))

    def __call__(self, oracle: Blind[ThreatModel], draw: Draw) -> None:
        """Run them on the rows that are still open."""
        pairs, whole = self.inside(oracle.threat), oracle.threat
        if not isinstance(whole, Parted):
            pairs[0][0](oracle, draw)
            return
        for k, (attack, _) in enumerate(pairs):
            oracle, draw = oracle.shrink(draw, at=1.0)
            with contextlib.suppress(Exhausted):  # a view may rest where the rest does not
                attack(oracle.within(k), draw)
        for k, (attack, _) in enumerate(pairs[1:] if whole.in_turn else [], 1):
            oracle, draw = oracle.shrink(draw, at=1.0)
            with contextlib.suppress(Exhausted):
                attack(oracle.within(k, after=True), draw.tag("after", k))
