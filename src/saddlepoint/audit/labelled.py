"""Arms for an adversary who sees labels: searches for the closest break, guesses where none fit."""

from typing import Any

from saddlepoint.attacks import Guess, HopSkipJump, RayS, Sequence
from saddlepoint.audit.ladder import Ladder
from saddlepoint.core.access import Attack
from saddlepoint.core.threat import Graded, ThreatModel

__all__ = ["arms", "guesses", "long_run", "suite", "suite_passes"]

_GUESSES = (50, 100, 200)
_QUERIES = (250, 500, 1000, 2000)
_OPENING = 50


def guesses() -> tuple[Attack[Any], tuple[Ladder, ...]]:
    """Return opening and ladder of random members."""
    return Guess(k=20), (Ladder(tuple(Guess(k=q) for q in _GUESSES), _GUESSES),)


def arms(threat: ThreatModel | None = None) -> tuple[Attack[Any], tuple[Ladder, ...]]:
    """Return opening and ladders.

    ``RayS`` gets closest in the first hundred questions, in boxes and elsewhere, and stays ahead in
    boxes; elsewhere ``HopSkipJump`` overtakes it, and goes on from where it has come. A pilot of a
    second ladder costs more than ``GeoDA`` gave in return. In sets without sizes nothing says
    which way is closer.

    >>> arms()[0]
    RayS(n_queries=50)
    """
    if not _sized(threat):
        return guesses()
    searches = (RayS, _then_walk) if _is_box(threat) else (_then_walk,)
    return RayS(n_queries=_OPENING), tuple(map(_ladder, searches))


def long_run(threat: object | None, queries: int) -> tuple[Attack[Any], tuple[Ladder, ...]]:
    """Return one search for so many questions a sample, and guesses for what it leaves unasked.

    >>> long_run(None, 1000)[0]
    Sequence((RayS(n_queries=100), HopSkipJump(n_queries=900)))
    """
    if not _sized(threat):
        return Guess(k=queries), guesses()[1]
    if _is_box(threat):  # the second begins where the first ends by itself
        return Sequence((RayS(n_queries=queries), HopSkipJump(n_queries=queries))), guesses()[1]
    return (_then_walk(queries) if queries > 1 else RayS(n_queries=1)), guesses()[1]


def suite(threat: ThreatModel | None) -> tuple[Attack[Any], ...]:
    """Return what survivors meet.

    >>> suite(None)
    (RayS(n_queries=2000), HopSkipJump(n_queries=3000))
    """
    if not _sized(threat):
        return (Guess(k=1000),)
    return RayS(n_queries=2000), HopSkipJump(n_queries=3000)


def suite_passes(threat: ThreatModel | None) -> float:
    """What the suite costs on a sample that survives it."""
    return 5000 if _sized(threat) else 1000


def _ladder(search: Any) -> Ladder:  # noqa: ANN401 - from a number of questions to an attack
    return Ladder(tuple(search(q) for q in _QUERIES), _QUERIES)


def _rays(queries: int) -> int:
    """Questions that RayS is ahead for, of so many."""
    return max(1, min(max(100, queries // 10), queries // 2))


def _then_walk(queries: int) -> Attack[Any]:
    first = _rays(queries)
    return Sequence((RayS(n_queries=first), HopSkipJump(n_queries=queries - first)))


def _sized(threat: object | None) -> bool:
    return threat is None or isinstance(threat, Graded)


def _is_box(threat: object | None) -> bool:
    return bool(getattr(threat, "is_box", False))
