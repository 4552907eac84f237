"""Transfer: points that are made on another model, handed in without a look at this one."""

import contextlib
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from saddlepoint.attacks.combine import check_attack
from saddlepoint.attacks.pgd import PGD
from saddlepoint.attacks.transform import Momentum
from saddlepoint.core.access import Attack, Blind, check_fit
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Exhausted, Unsupported
from saddlepoint.core.expectation import Distribution
from saddlepoint.core.goal import Goal, Untargeted
from saddlepoint.core.oracle import Oracle
from saddlepoint.core.spec import compact
from saddlepoint.core.surrogate import Fuse, Surrogate, Variety, check_surrogates, opened
from saddlepoint.core.threat import ThreatModel

__all__ = ["Transfer", "understood"]


@dataclass(frozen=True, repr=False)
class Transfer:
    """Run ``attack`` on the surrogates alone, as far as it goes, and hand in what it found.

    Several surrogates are one model, with the mean of their logits (or probabilities), as in
    1710.06081, §3.4. The attack spends its own questions on them, which cost nothing here; it does
    not stop at their boundary, since the worst point for them is the likeliest to lie beyond that
    of the model under attack. That one is asked once, and answers nothing. ``Momentum`` in the
    attack makes it MI-FGSM; ``Smooth`` makes it translation-invariant; views (1803.06978) average
    each gradient over ``draws`` random transformations of the input. ``Restarts`` hands in several.
    fuse: ``logits`` or ``probabilities``, of which the mean is taken.

    >>> net = lambda x: x
    >>> Transfer(PGD(steps=10), (Surrogate(net, "mine", "a" * 64),))
    Transfer(attack=PGD(steps=10), surrogates=(mine@aaaaaaaa,))
    """

    attack: Attack[Any] = field(default=PGD(steps=40, transform=Momentum(1.0), loss="margin"))
    surrogates: tuple[Surrogate, ...] = ()
    fuse: Fuse = "logits"
    views: Distribution | None = None
    draws: int = 1

    __repr__ = compact

    def __post_init__(self) -> None:
        check_attack(self.attack)
        object.__setattr__(self, "surrogates", check_surrogates(self.surrogates))
        if self.views is not None:
            Variety(self.views, self.draws)

    def inside(self, threat: object) -> list[tuple[object, object]]:
        """Say that nothing inside asks the model; raises ``Unsupported`` where something lacks."""
        if not self.surrogates:
            raise Unsupported("Transfer has no surrogates: give models to work on (--surrogate)")
        check_fit(self.attack, threat, "gradients")
        return []

    def __call__(self, oracle: Blind[ThreatModel], draw: Draw) -> None:
        """Search on the surrogates, then hand in the worst point."""
        oracle.propose(self.suggest(oracle, draw)[0])

    def suggest(self, oracle: Blind[ThreatModel], draw: Draw) -> tuple[Tensor, Tensor]:
        """(B, *P) what the attack makes of the surrogates, and (B,) that there is something."""
        variety = None if self.views is None else Variety(self.views, self.draws)
        with opened(self.surrogates, self.fuse, variety) as door:
            goal, views = understood(oracle.goal), draw.tag("views")
            own = Oracle(door, oracle.x, goal, oracle.threat, early_stop=False, draw=views)
            with contextlib.suppress(Exhausted):
                self.attack(own, draw.tag("surrogate"))
            u = own.ledger.u
            return u, torch.ones(len(u), dtype=torch.bool, device=u.device)


def understood(goal: Goal) -> Goal:
    """Return the goal as a model without a score for rejection can be asked about it."""
    if hasattr(goal, "read") and hasattr(goal, "label"):
        return Untargeted(goal.label)
    return goal
