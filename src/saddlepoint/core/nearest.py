"""``nearest``: look for the smallest change that breaks each sample."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from saddlepoint.core.access import Access, Attack
from saddlepoint.core.detected import meant
from saddlepoint.core.door import Model, Precision
from saddlepoint.core.goal import Goal
from saddlepoint.core.ledger import Budget, Cost, Status
from saddlepoint.core.loss import Loss
from saddlepoint.core.oracle import Oracle
from saddlepoint.core.search import Batches, join_costs, verdict
from saddlepoint.core.threat import Graded, graded

__all__ = ["Nearest", "nearest"]


@dataclass(frozen=True, eq=False)
class Nearest:
    """The closest break found for each of B samples, and what it cost.

    x_adv: (B, *F) inputs; a survivor holds the best attempt. u: (B, *P) their parameters. size:
    (B,) float64, that of u where broken (0 where the clean input is), infinite elsewhere: an upper
    bound on the distance to the nearest break. status: one of ``broken | survived | error |
    not_run`` per sample. cost: passes per sample. error: the traceback of an attack that raised.

    >>> from saddlepoint import FMN, Linf
    >>> x = torch.tensor([[0.9, 0.1], [0.4, 0.6]])  # the larger number is the class
    >>> found = nearest(FMN(), torch.nn.Identity(), x, x.argmax(1), Linf(eps=0.2))
    >>> found, found.robust_accuracy(0.05)
    (Nearest(survived=1, broken=1, median_size<=inf), 1.0)
    """

    x_adv: Tensor
    u: Tensor
    size: Tensor
    status: tuple[Status, ...]
    cost: Cost
    error: str | None = None

    def robust_accuracy(self, eps: float) -> float:
        """Share of *all* samples without a break within eps: an upper bound on robust accuracy."""
        return (self.size > eps).double().mean().item()

    def __repr__(self) -> str:
        counts = {s.value: self.status.count(s) for s in Status if s in self.status}
        said = ", ".join(f"{k}={v}" for k, v in counts.items())
        return (
            f"Nearest({said}, median_size<={self.size.quantile(0.5, interpolation='higher'):.4g})"
        )


def nearest(
    attack: Attack[Any],
    model: Model,
    x: Tensor,
    goal: Tensor | Goal,
    threat: Graded,
    *,
    loss: Loss | str | None = None,
    budget: Budget | None = None,
    seed: int = 0,
    ids: Tensor | None = None,
    batch_size: int | None = None,
    precision: Precision = "float32",
    access: Access = "gradients",
) -> Nearest:
    """Search min size(u) over the breaking u in threat(x), for each sample.

    x, goal, loss, budget, ids, access: as in ``search``. threat: a ``Graded`` set whose own size is
    the largest of interest; samples without a break in it have survived. No break ends the search
    of a sample: the attack spends all it wants to. Any attack will do, but one that knows of sizes
    (``FMN``, ``DDN``, ``FAB``, ``Bisect(APGD())`` …) finds closer breaks than one that only crosses
    the boundary somewhere.

    >>> from saddlepoint import PGD, L2
    >>> model = torch.nn.Linear(2, 2)
    >>> x = torch.rand(4, 2)
    >>> found = nearest(PGD(steps=5), model, x, 1 - model(x).argmax(1), L2(eps=0.5))
    >>> found.size
    tensor([0., 0., 0., 0.], dtype=torch.float64)
    """
    graded(threat)
    batches = Batches(model, x, meant(model, goal), threat, loss, budget, seed, ids, batch_size)
    asked = batches.attacked(attack, access, precision, closest=True)
    parts = [_nearest(oracle, error) for oracle, error in asked]
    return Nearest(
        x_adv=torch.cat([p.x_adv for p in parts]),
        u=torch.cat([p.u for p in parts]),
        size=torch.cat([p.size for p in parts]),
        status=tuple(s for p in parts for s in p.status),
        cost=join_costs([p.cost for p in parts]),
        error=next((p.error for p in parts if p.error is not None), None),
    )


def _nearest(oracle: Oracle[Any], error: str | None) -> Nearest:
    ledger = oracle.ledger
    return Nearest(
        x_adv=oracle.threat.apply(oracle.x, ledger.u).detach(),
        u=ledger.u.detach(),
        size=oracle.reached().double(),
        status=verdict(ledger, error),
        cost=ledger.cost,
        error=error,
    )
