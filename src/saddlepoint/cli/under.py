"""Transformations between input and model, as options and as audit.json name them."""

from typing import Any

from saddlepoint.core.errors import BadData, Invalid
from saddlepoint.core.expectation import Expectation
from saddlepoint.presets import parse_under

__all__ = ["as_written", "expectation", "passes"]


def expectation(
    text: str | None, draws: int | None, trials: int | None, level: float | None
) -> Expectation | None:
    """Return what --under names, with the counts that other options give; None without it.

    >>> expectation("Rotate(30)", draws=8, trials=None, level=None)
    Expectation(Rotate(degrees=30), draws=8)
    """
    if text is None:
        if level is not None:
            hint = "a level is a success rate over draws of transformations"
            raise Invalid("level", level, "left out without --under", hint)
        return None
    counts = {"draws": draws, "trials": trials, "level": level}
    given: dict[str, Any] = {k: v for k, v in counts.items() if v is not None}
    return Expectation(parse_under(text), **given)


def passes(
    text: str | None, draws: int | None, trials: int | None, level: float | None
) -> dict[str, Any]:
    """Return the arguments of ``audit`` that say how often a model is asked, and under what.

    >>> passes(None, draws=4, trials=None, level=None)
    {'eot': 4, 'votes': 1}
    """
    under = expectation(text, draws, trials, level)
    return {"eot": draws or 1, "votes": trials or 1} if under is None else {"under": under}


def as_written(said: Any) -> Expectation | None:  # noqa: ANN401 - what a file says
    """Return what a run's plan says its witnesses are judged under; raises ``BadData``."""
    if said is None:
        return None
    try:
        given = {k: v for k, v in said.items() if k != "distribution"}
        return Expectation(parse_under(said["distribution"]), **given)
    except (AttributeError, KeyError, TypeError) as error:
        raise BadData(f"audit.json names no transformations: {error}") from error
