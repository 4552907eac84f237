"""The inner maximum: from a batch to the worst inputs an attack finds around it."""

import contextlib
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from saddlepoint.core.access import Attack, check_fit
from saddlepoint.core.door import Door, Precision
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Exhausted
from saddlepoint.core.goal import Untargeted
from saddlepoint.core.loss import Loss, as_loss
from saddlepoint.core.oracle import Oracle
from saddlepoint.core.threat import ThreatModel

__all__ = ["Inner", "Worst"]


class Worst(Protocol):
    """What a ``RobustLoss`` asks for the worst inputs: (model, x, y) -> x_adv."""

    def __call__(
        self, model: nn.Module, x: Tensor, y: Tensor, loss: Loss | str | None = None, /
    ) -> Tensor:
        """Map x (B, *F) and labels y (B,) to x_adv (B, *F), without a graph.

        loss: what the search climbs, where an objective has its own idea of worst (TRADES: KL).
        """
        ...


@dataclass(frozen=True)
class Inner:
    """x_adv = apply(x, u*), u* the point of threat(x) with the largest margin that ``attack`` saw.

    threat, attack: the adversary trained against. loss: what the attack climbs (None:
    cross-entropy). precision: of the search.

    The model is in eval mode and frozen while it is asked, so that a batch does not pollute its
    running statistics, and is put back afterwards; it is not hashed, which would cost more than a
    step. A sample is not left at its first break: training wants the worst point, not a bad one.
    Raises what the attack raises: training on inputs of a broken attack would look like success.
    Source: the inner problem of 1706.06083, eq. 2.1.

    >>> from saddlepoint import PGD, Linf
    >>> worst = Inner(Linf(eps=0.1), PGD(steps=3))
    >>> x = torch.full((4, 2), 0.5)
    >>> x_adv = worst(nn.Linear(2, 2), x, torch.zeros(4).long())
    >>> {round(v, 3) for v in (x_adv - x).abs().flatten().tolist()}
    {0.1}
    """

    threat: ThreatModel
    attack: Attack[Any]
    loss: Loss | str | None = None
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        check_fit(self.attack, self.threat, "gradients")

    def __call__(
        self,
        model: nn.Module,
        x: Tensor,
        y: Tensor,
        loss: Loss | str | None = None,
        /,
        draw: Draw | None = None,
    ) -> Tensor:
        """Return x_adv (B, *F); all randomness comes from ``draw`` (None: seed 0, ids 0 … B-1)."""
        draw = draw or Draw.of(0, torch.arange(len(x), device=x.device))
        climb = self.loss if loss is None else loss
        with Door(model, self.precision, seed=draw.key % (1 << 63), verify=False) as door:
            oracle = Oracle(
                door,
                x,
                Untargeted(y),
                self.threat,
                loss=None if climb is None else as_loss(climb),
                early_stop=False,
            )
            with contextlib.suppress(Exhausted):  # the attack's own way to end early
                self.attack(*oracle.shrink(draw, at=1.0))
            oracle.settle()
            return self.threat.apply(x, oracle.ledger.u).detach()
