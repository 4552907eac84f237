"""Carlini and Wagner for L_0: break with what may change, then forbid what mattered least."""

from dataclasses import dataclass

import torch
from torch import Tensor

from saddlepoint.attacks.anneal import check_share
from saddlepoint.attacks.carlini_wagner import check_kappa
from saddlepoint.attacks.hinge import RAISE, Euclid, descend, opening
from saddlepoint.attacks.places import Places, fewest
from saddlepoint.core.access import Gradients
from saddlepoint.core.draw import Draw
from saddlepoint.core.loss import Loss, check_loss
from saddlepoint.core.shapes import INF, flat, put
from saddlepoint.core.spec import compact
from saddlepoint.core.whole import require_whole

__all__ = ["CWL0"]


@dataclass(frozen=True, repr=False)
class CWL0:
    """``CW`` over the places that may change; after a break the least important of them may not.

    Importance is what a place's change adds to the margin by its gradient, sum u_i g_i (1608.04644,
    §VI-B). Each break forbids the share ``drop`` of the places that it changes, those it leaves
    alone as well (the paper forbids one at a time); a round without a break raises c tenfold. Last,
    and unlike the paper, the count is bisected as ``SigmaZero`` does. Members are judged by the set
    they are in, which counts places. steps: gradients per round. kappa, step_size, loss: as in
    ``CW``.

    >>> CWL0(rounds=4)
    CWL0(rounds=4)
    """

    steps: int = 50
    rounds: int = 10
    drop: float = 0.5
    kappa: float = 0.0
    step_size: float = 0.3
    loss: Loss | str = "margin"

    __repr__ = compact

    def __post_init__(self) -> None:
        require_whole("steps", self.steps)
        require_whole("rounds", self.rounds)
        check_kappa(self.kappa)
        check_share("drop", self.drop, 1)
        check_share("step_size", self.step_size, INF)
        check_loss(self.loss)

    def __call__(self, oracle: Gradients[Places], draw: Draw) -> None:
        """Forbid place after place."""
        oracle = oracle.roam().aim(self.loss)
        s = opening(oracle, self.kappa)
        free, s.c = torch.ones_like(s.u), RAISE * s.c
        for _ in range(self.rounds):
            oracle, s, free = oracle.shrink(s, free)
            s.free, s.size = free, torch.full_like(s.size, INF)  # the closest of this round counts
            descend(oracle, s, Euclid(), self.kappa, self.steps, self.step_size)
            _, g = oracle.value_and_grad(s.u)
            won = s.size.isfinite()
            s.c = torch.where(won, s.c, RAISE * s.c)
            free = put(won, self._fewer(oracle, s.u, g), free)
            s.u = s.u * free
        fewest(oracle, s.u, torch.where(won, oracle.threat.size(oracle.x, s.u), INF))

    def _fewer(self, oracle: Gradients[Places], u: Tensor, g: Tensor) -> Tensor:
        """(B, *P) 1 in the most important of the places that u changes, 0 elsewhere."""
        threat = oracle.threat
        matter = flat(threat.gather(u * g))
        changed = flat(threat.gather(u.abs())) > 0
        keep = ((1 - self.drop) * changed.sum(1)).ceil()
        matter = matter.masked_fill(~changed, -INF)
        order = matter.sort(dim=1, descending=True, stable=True).indices
        rank = torch.arange(order.shape[1], device=order.device).expand_as(order)
        few = torch.zeros_like(rank).scatter_(1, order, rank) < keep[:, None]
        return threat.spread(few.view(threat.gather(g).shape), g).to(g.dtype)
