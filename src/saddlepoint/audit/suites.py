"""Attacks by name: the cascade that suits what may be asked, and the standard suite.

Numbers of steps and queries were chosen on six nets (MNIST and CIFAR-10, L_inf and L_2); the
cascade's own pilot then decides how much of each is spent.
"""

from dataclasses import replace
from typing import Any, Literal

from saddlepoint.attacks import (
    APGD,
    FAB,
    PGD,
    Guess,
    NoisyPGD,
    PartOf,
    Polish,
    RandomSearch,
    Sequence,
    SignHunter,
    Square,
    Targets,
)
from saddlepoint.audit import costly, gridded, labelled
from saddlepoint.audit.cascade import Cascade
from saddlepoint.audit.ladder import Ladder
from saddlepoint.audit.listed import Listed
from saddlepoint.audit.parted import of_parts
from saddlepoint.audit.plan import Strategy
from saddlepoint.audit.rationed import arms as long_run
from saddlepoint.audit.rationed import rationed
from saddlepoint.audit.scattered import arms
from saddlepoint.core.access import ACCESS, Access, Attack, check_fit
from saddlepoint.core.errors import Invalid, Unsupported, closest
from saddlepoint.core.threat import Gridded, Parted, ThreatModel, scattered

__all__ = ["EFFORTS", "SUITES", "Effort", "autoattack", "cascade", "strategy"]

Effort = Literal["quick", "standard", "thorough"]
EFFORTS: dict[str, float] = {"quick": 80, "standard": 300, "thorough": 2000}  # passes per sample
SUITES = ("cascade", "autoattack")
QUERIES = (250, 500, 1000, 2000)
_STEPS = 20


def _gradients() -> tuple[Attack[Any], tuple[Ladder, ...]]:
    opening = PGD(steps=_STEPS, start="clean", reach=1.0, loss="probability-margin")
    two = Sequence(
        (
            APGD(steps=_STEPS, loss="cross-entropy"),
            Targets(PGD(steps=_STEPS // 2, reach=1.0, loss="margin"), n=3),
        )
    )
    along = (two, APGD(steps=75, loss="cross-entropy"), _targets(3))
    return opening, (
        Ladder(along, (103, 150, 303)),
        Ladder(
            tuple(Polish(Square(q)) for q in QUERIES), tuple(q + 2 * _STEPS + 1 for q in QUERIES)
        ),
    )


def _nearest() -> Ladder:
    """Where gradients lead ascent astray in L2, steps to the linearised boundary often do not."""
    rungs = (FAB(steps=50), FAB(steps=100), Targets(FAB(steps=50), n=3))
    return Ladder(rungs, (155, 305, 460))


def _noisy() -> Ladder:
    """Smoothed ascent, of few large changes as well as of many small ones."""
    rungs = tuple(Sequence((NoisyPGD(steps=n, move=0.5), NoisyPGD(steps=n))) for n in (25, 50, 100))
    return Ladder(rungs, (126, 250, 500))


def _targets(n: int) -> Targets:
    return Targets(APGD(steps=50, loss="dlr"), n=n)


def _scores() -> tuple[Attack[Any], tuple[Ladder, ...]]:
    return Square(n_queries=50), (_ladder(Square), _ladder(RandomSearch))


def _ladder(search: Any) -> Ladder:  # noqa: ANN401 - from a number of questions to an attack
    return Ladder(tuple(search(n_queries=q) for q in QUERIES), QUERIES)


_SUITE_PASSES: dict[Access, float] = {
    "gradients": 9_800,
    "scores": 5_000,
    "labels": 5_000,
    "none": 1_000,
}
_BY_ACCESS = {
    "gradients": _gradients,
    "scores": _scores,
    "none": labelled.guesses,
}


def _arms(access: Access, threat: ThreatModel | None) -> tuple[Attack[Any], tuple[Ladder, ...]]:
    if access == "labels":
        return labelled.arms(threat)
    opening, ladders = _BY_ACCESS[access]()
    if access == "gradients" and getattr(threat, "is_box", True) is False:  # a ball that is round
        opening, ladders = NoisyPGD(), (_noisy(), *ladders, _nearest())
    if access == "scores" and getattr(threat, "is_box", False):  # corners, by signs
        ladders = (*ladders, _ladder(SignHunter))
    return opening, ladders


def autoattack(
    access: Access = "gradients", threat: ThreatModel | None = None
) -> tuple[Attack[Any], ...]:
    """Return the standard suite (2003.01690, §6): APGD-CE, APGD-T, FAB-T, Square; or its black box.

    Of a set of few parameters, which a grid covers, it is the grid and a finer search.

    >>> autoattack("scores")
    (Square(),)
    """
    if isinstance(threat, Gridded):
        return gridded.suite(threat, access)
    if access == "labels":
        return labelled.suite(threat)
    square = Square(n_queries=5000)
    if access != "gradients":
        return (square,) if access == "scores" else (Guess(k=1000),)
    return (
        APGD(steps=100, loss="cross-entropy"),
        Targets(APGD(steps=100, loss="dlr"), n=9),
        Targets(FAB(steps=100), n=9),
        square,
    )


def cascade(
    access: Access = "gradients",
    effort: str = "standard",
    max_passes: float | None = None,
    survivors: int | None = None,
    threat: ThreatModel | None = None,
    price: int = 1,
    max_queries: int | None = None,
) -> Cascade:
    """Return the adaptive suite for what may be asked.

    effort: how many passes to spend, unless ``max_passes`` says; a set made of sets gets so many
    for each of its parts, and has their arms (``of_parts``). survivors: how many meet the
    standard suite at the end, beyond the budget; None lets a fifth of the budget decide. threat:
    attacks of that suite which do not fit this set are left out, a set of few parameters gets
    random members, grids and their refinement in place of ascent and squares, a set in pieces is
    opened by random members, and one that says it is ``costly`` gets gradient steps only. price:
    passes of one question; an effort pays for as many questions as ever. max_queries: how often one
    sample may be asked about; without gradients all of that is spent, unless ``max_passes`` says.

    >>> cascade(effort="quick").max_passes
    80
    """
    if effort not in EFFORTS:
        raise Invalid("effort", effort, "a known effort", closest(effort, EFFORTS))
    if access not in ACCESS:
        raise Invalid("access", access, "one of " + ", ".join(map(repr, ACCESS)))
    if isinstance(threat, Parted):
        alone = [cascade(access, effort, None, survivors, p, price) for p in threat.parts]
        joint = _plain(access, effort, survivors, threat, price) if threat.in_turn else None
        whole = of_parts(alone, joint)
    else:
        rows = None if max_passes is not None or price > 1 else max_queries
        whole = _plain(access, effort, survivors, threat, price, rows)
    if max_queries is not None:
        whole = rationed(whole, access, max_queries)
    return whole if max_passes is None else replace(whole, max_passes=max_passes, grow=False)


def _plain(
    access: Access,
    effort: str,
    survivors: int | None,
    threat: ThreatModel | None,
    price: int,
    queries: int | None = None,
) -> Cascade:
    """The cascade of one set, whatever it is made of; one long run of ``queries`` if they say."""
    suite, passes = autoattack(access, threat), _SUITE_PASSES[access]
    if access == "labels":
        passes = labelled.suite_passes(threat)
    long = None if queries is None else long_run(access, queries, threat)
    opening, ladders = _arms(access, threat) if long is None else long
    if isinstance(threat, Gridded):
        (opening, ladders), passes = gridded.arms(access, threat), gridded.cost(threat)
    elif scattered(threat):
        opening, first = arms(access)
        ladders = (first, *ladders)
    elif getattr(threat, "costly", False) and access == "gradients":
        opening, ladders = costly.arms()
    return Cascade(
        opening,
        tuple(Ladder(one.rungs, tuple(price * p for p in one.passes)) for one in ladders),
        tuple(a for a in suite if threat is None or _fits(a, threat, access)),
        price * EFFORTS[effort],
        suite_passes=price * passes,
        survivors=survivors,
    )


def _fits(attack: Attack[Any], threat: ThreatModel, access: Access) -> bool:
    try:
        check_fit(attack, threat, access)
    except Unsupported:
        return False
    return True


def strategy(
    attacks: tuple[Attack[Any], ...] | Attack[Any] | str | None,
    threat: ThreatModel,
    access: Access,
    effort: str = "standard",
    max_passes: float | None = None,
    survivors: int | None = None,
    price: int = 1,
    max_queries: int | None = None,
) -> Strategy:
    """Return what an audit does: attacks in order, or a suite by its name (the cascade).

    price: passes of one question, as for ``cascade``.

    Raises ``Invalid`` for an unknown suite, and for a budget beside a list that has none.
    """
    if attacks is None or attacks == "cascade":
        return cascade(access, effort, max_passes, survivors, threat, price, max_queries)
    for name, value, free in (
        ("effort", effort, "standard"),
        ("max_passes", max_passes, None),
        ("survivors", survivors, None),
    ):
        if value != free:
            raise Invalid(name, value, "left out beside attacks in order: it is the cascade's")
    if isinstance(attacks, str):
        if attacks not in SUITES:
            allowed = "the name of a suite, or a tuple of attacks"
            raise Invalid("attacks", attacks, allowed, closest(attacks, SUITES))
        return Listed(_standard(access, threat), suite=attacks)
    return Listed((attacks,) if callable(attacks) else tuple(attacks))


def _standard(access: Access, threat: ThreatModel) -> tuple[Attack[Any], ...]:
    """The standard suite; of a set made of sets, that of every part."""
    if not isinstance(threat, Parted):
        return autoattack(access, threat)
    suites = [_standard(access, part) for part in threat.parts]
    return tuple(PartOf(attack, k) for k, suite in enumerate(suites) for attack in suite)
