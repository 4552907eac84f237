"""Arms where every sample may be asked about a limited number of times: one long run each."""

from dataclasses import replace
from typing import Any

from saddlepoint.attacks import Guess, RandomSearch, Sequence, SignHunter, Square
from saddlepoint.audit import labelled
from saddlepoint.audit.cascade import Cascade
from saddlepoint.audit.ladder import Ladder
from saddlepoint.core.access import Access, Attack
from saddlepoint.core.threat import ThreatModel

__all__ = ["arms", "rationed"]

_MORE = (100, 400)
_SIGNS = 2000


def arms(
    access: Access, queries: int, threat: ThreatModel | None = None
) -> tuple[Attack[Any], tuple[Ladder, ...]] | None:
    """Return opening and ladders for so many questions a sample, None where there are no others.

    A search that plans for all its questions from the start gets further with them than several
    short ones. The ladder is for what an opening leaves that ends by itself.

    >>> arms("scores", 1000)[0]
    Square(n_queries=999)
    >>> from saddlepoint.threats import Linf
    >>> arms("scores", 1000, Linf(eps=0.1))[0]
    SignHunter(n_queries=999)
    """
    if access == "gradients":
        return None
    if access == "labels":
        return labelled.long_run(threat, queries - 1)
    if access == "none":
        return Guess(k=queries - 1), (Ladder(tuple(Guess(k=q) for q in _MORE), _MORE),)
    more = Ladder(tuple(RandomSearch(n_queries=q) for q in _MORE), _MORE)
    if getattr(threat, "is_box", False):
        return _by_signs(queries - 1), (more,)
    return Square(n_queries=queries - 1), (more,)


def _by_signs(queries: int) -> Attack[Any]:
    """A search of corners: ahead of squares for the first thousands of questions, then level."""
    first = min(queries, max(queries // 2, _SIGNS))
    signs = SignHunter(n_queries=first)
    return signs if first == queries else Sequence((signs, Square(n_queries=queries - first)))


def rationed(whole: Cascade, access: Access, queries: int) -> Cascade:
    """Return the cascade that spends up to ``queries`` on every sample, and no suite beyond them.

    The limit itself is kept by the oracle, whatever an attack asks.
    """
    if access == "gradients":
        return whole
    return replace(whole, suite=(), survivors=0, grow=False, max_passes=float(queries))
