"""Carlini and Wagner: the distance against a hinge of the margin, by a constant per sample."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from saddlepoint.attacks.anneal import check_share
from saddlepoint.attacks.boundary import settle
from saddlepoint.attacks.hinge import Euclid, Excess, Penalty, descend, opening
from saddlepoint.core.access import Gradients
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid
from saddlepoint.core.loss import Loss, check_loss
from saddlepoint.core.shapes import INF
from saddlepoint.core.spec import compact
from saddlepoint.core.threat import Graded, GradedConvex
from saddlepoint.core.whole import require_whole

__all__ = ["CW", "CWLinf", "check_kappa"]


def check_kappa(value: object) -> None:
    """Raise ``Invalid`` unless ``value`` is a finite number of at least 0."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value < INF:  # type: ignore[operator]
        raise Invalid("kappa", value, "a finite number of at least 0")


@dataclass(frozen=True, repr=False)
class CW:
    """Minimise ||u||^2 / 2 + c · max(kappa - margin, 0), c searched per sample (1608.04644).

    By Adam; the form for L_2 (§VI-A). Members are judged by the set that they are in. c starts
    where the two terms balance if the model is linear, grows tenfold until it suffices, and is
    bisected ``rounds`` - 1 times. Departures from the paper: u is cut to the input range after each
    step (its projected descent, §V-B) in place of tanh, under which values at the ends of the range
    hardly move; a round goes on from the closest break; a step is ``step_size`` times the distance
    where a linear model would break, or of the closest break, and falls to a hundredth of that.

    steps: gradients per round. kappa: how far past the boundary the hinge asks for; for witnesses
    that far out, search for the goal ``Confident(goal, kappa)``. loss: above zero exactly where the
    goal is reached.

    >>> CW(steps=50, kappa=2.0)
    CW(steps=50, kappa=2.0)
    """

    steps: int = 100
    rounds: int = 6
    kappa: float = 0.0
    step_size: float = 0.3
    loss: Loss | str = "margin"

    __repr__ = compact

    def __post_init__(self) -> None:
        _check(self)

    def __call__(self, oracle: Gradients[Graded], draw: Draw) -> None:
        """Tune c, from x at first."""
        _search(self, oracle, Euclid())


@dataclass(frozen=True, repr=False)
class CWLinf:
    """Minimise d(u, set of size tau)^2 / 2 + c · max(kappa - margin, 0), tau falling (1608.04644).

    The form for L_inf (§VI-C), where ||u||^2 says nothing of the largest entry: only what sticks
    out of a smaller set is penalised, and tau stays a little below the closest break. It works in
    any set with sizes whose perturbations can be scaled. Departures from the paper: the distance is
    squared, tau follows every break instead of falling by a tenth after a run, c is bisected, and
    at the end come three gradients along the boundary and three questions between x and the closest
    break. steps, step_size, loss and the rest: as in ``CW``.

    >>> CWLinf(rounds=3)
    CWLinf(rounds=3)
    """

    steps: int = 100
    rounds: int = 6
    kappa: float = 0.0
    step_size: float = 0.1
    loss: Loss | str = "margin"

    __repr__ = compact

    def __post_init__(self) -> None:
        _check(self)

    def __call__(self, oracle: Gradients[GradedConvex], draw: Draw) -> None:
        """Tune c, from x at first, and settle."""
        settle(*_search(self, oracle, Excess()))


def _check(attack: CW | CWLinf) -> None:
    require_whole("steps", attack.steps)
    require_whole("rounds", attack.rounds)
    check_kappa(attack.kappa)
    check_share("step_size", attack.step_size, INF)
    check_loss(attack.loss)


def _search(attack: CW | CWLinf, oracle: Gradients[Graded], penalty: Penalty) -> tuple[Any, Tensor]:
    oracle = oracle.roam().aim(attack.loss)
    s = opening(oracle, attack.kappa)
    for _ in range(attack.rounds):
        oracle, s = oracle.shrink(s)
        s.tune(descend(oracle, s, penalty, attack.kappa, attack.steps, attack.step_size))
    return oracle, s.u
