"""The cascade for a set made of sets: each part by the arms that suit it, and parts in turn."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any

from saddlepoint.attacks import Each, PartOf
from saddlepoint.audit.cascade import Cascade
from saddlepoint.audit.ladder import Ladder
from saddlepoint.core.access import Attack

__all__ = ["of_parts"]


def of_parts(alone: Sequence[Cascade], joint: Cascade | None) -> Cascade:
    """Return one cascade over all parts, from that of each alone.

    Ladders of all parts climb side by side, so that the budget goes to the parts that break. joint:
    the cascade of the whole as if it had no parts, where these follow on each other; ladders then
    also go through the parts in turn, around the worst that the earlier ones have done. The
    budget is that of all these together.

    >>> from saddlepoint.audit.suites import cascade
    >>> of_parts([cascade("none"), cascade("none")], None).opening
    Each(Guess(k=20))
    """
    ladders = [_in_part(ladder, k) for k, c in enumerate(alone) for ladder in c.ladders]
    suite: list[Attack[Any]] = [PartOf(a, k) for k, c in enumerate(alone) for a in c.suite]
    passes = sum(c.max_passes for c in alone)
    if joint is not None:
        climbs = zip_longest(*[c.ladders for c in alone])
        last = [c.ladders[-1] for c in alone]
        turns = [
            _in_turn([one or end for one, end in zip(row, last, strict=True)]) for row in climbs
        ]
        ladders = [*turns, *joint.ladders]
        suite += joint.suite
        passes = 2 * passes + joint.max_passes
    return replace(
        alone[0],
        opening=_each([c.opening for c in alone]),
        ladders=tuple(ladders),
        suite=tuple(suite),
        max_passes=passes,
        suite_passes=sum(c.suite_passes for c in (*alone, *([joint] if joint else []))),
    )


def _in_part(ladder: Ladder, k: int) -> Ladder:
    return Ladder(tuple(PartOf(rung, k) for rung in ladder.rungs), ladder.passes)


def _in_turn(ladders: Sequence[Ladder]) -> Ladder:
    """One ladder of a rung from each, the last rung where a ladder is shorter."""
    height = max(len(ladder.rungs) for ladder in ladders)
    rungs, passes = [], []
    for i in range(height):
        at = [min(i, len(ladder.rungs) - 1) for ladder in ladders]
        rungs.append(_each([one.rungs[j] for one, j in zip(ladders, at, strict=True)]))
        cost = [one.passes[j] for one, j in zip(ladders, at, strict=True)]
        passes.append(sum(cost) + sum(cost[1:]))  # all parts but the first are searched twice
    return Ladder(tuple(rungs), tuple(passes))


def _each(attacks: Sequence[Attack[Any]]) -> Each:
    same = all(repr(a) == repr(attacks[0]) for a in attacks)
    return Each(attacks[0] if same else tuple(attacks))
