"""Components of a user, by name: a set, an attack, an objective, and things that are none."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from saddlepoint.core.access import Scores
from saddlepoint.core.draw import Draw
from saddlepoint.core.threat import ThreatModel
from saddlepoint.train import Natural
from tests.laws.toy import Shade

__all__ = [
    "Broken",
    "Darkest",
    "Grumpy",
    "Linf",
    "Plain",
    "Shade",
    "Slip",
    "Stumbles",
    "Twice",
    "Unnamed",
    "shade",
]

CALLED: list[str] = []


@dataclass(frozen=True)
class Darkest:
    """Asks about the edge of the set in one direction."""

    tries: int = 3

    def __call__(self, oracle: Scores[ThreatModel], draw: Draw) -> None:
        for k in range(self.tries):
            u = oracle.threat.start(oracle.x) + 10.0 * k
            oracle.value(oracle.threat.project(oracle.x, u))


@dataclass(frozen=True)
class Twice(Natural):
    """Twice the natural loss."""

    def __call__(self, model: Any, x: Tensor, y: Tensor, worst: Any) -> Tensor:  # noqa: ANN401
        return 2 * super().__call__(model, x, y, worst)


@dataclass(frozen=True)
class Slip(Natural):
    """Has a bug, in a line of its own or, ``ours``, in what it hands back to us."""

    ours: bool = False

    def __call__(self, model: Any, x: Tensor, y: Tensor, worst: Any) -> Tensor:  # noqa: ANN401
        if self.ours:
            return super().__call__(model, x, None, worst)  # type: ignore[arg-type]
        return x.no_such_method()  # type: ignore[attr-defined,no-any-return]


@dataclass(frozen=True)
class Stumbles:
    """An attack with a bug."""

    def __call__(self, oracle: Scores[ThreatModel], draw: Draw) -> None:
        oracle.no_such_question()  # type: ignore[attr-defined]


class Unnamed(Shade):
    """Does not say what it is."""

    __repr__ = object.__repr__


class Linf(Shade):
    """Bears the name of one of ours."""


class Plain:
    """Has none of the verbs, and may not be called."""

    def __init__(self, *words: object) -> None:
        CALLED.append("Plain")


@dataclass(frozen=True, repr=False)
class Grumpy(Shade):
    """Refuses its settings in a way of its own."""

    def __post_init__(self) -> None:
        raise KeyError("eps")


def shade(eps: float) -> Shade:
    CALLED.append("shade")
    return Shade(eps)


Broken = 3
