"""Epochs of a universal perturbation: minibatches in an order of their own, one record each."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saddlepoint.attacks.universal import Universal
from saddlepoint.audit.journal import Record
from saddlepoint.audit.samples import Samples
from saddlepoint.core.door import Door
from saddlepoint.core.draw import Draw
from saddlepoint.core.goal import Goal, Targeted, Untargeted
from saddlepoint.core.oracle import Oracle
from saddlepoint.core.search import check_inputs
from saddlepoint.core.shapes import pieces

__all__ = ["Fit", "aimed", "on"]


@dataclass(frozen=True, eq=False)
class Fit:
    """The samples that u is fitted on; ``epoch`` continues from the record of the one before."""

    door: Door
    samples: Samples
    n: int
    threat: Any
    how: Universal
    target: int | None
    seed: int

    def begin(self, tag: str = "begin") -> Tensor:
        """Draw a random member (1, *P), for inputs like those of the data."""
        x = self.door.fit(self.samples.batch(torch.arange(1))[0])
        draw = Draw.of(self.seed, torch.zeros(1, dtype=torch.int64, device=x.device))
        return self.how.begin(on(self.threat, x), x, draw.tag("universal", tag))

    def epoch(self, number: int, before: Record | None) -> Record:
        """Pass over the samples once; a set with random places gets fresh ones."""
        began = time.perf_counter()
        u = self.begin() if before is None else self._back(before["u"])
        kept = None if before is None else self._back(before["momentum"])
        order = np.random.default_rng([self.seed, number]).permutation(self.n)
        parts = list(pieces(torch.from_numpy(order), self.how.batch_size))
        loss, broken = 0.0, 0
        for k, rows in enumerate(parts):
            done = (number + k / len(parts)) / self.how.epochs
            oracle = self._oracle(rows.sort().values, number)
            u, kept, value = self.how(oracle, u, kept, done)
            loss += float(value[value.isfinite()].double().sum())
            broken += int(oracle.ledger.broken.sum())
        return {
            "rows": np.array([number]),
            "u": u.cpu().numpy(),
            "momentum": (u if kept is None else kept).cpu().numpy(),
            "loss": np.array(loss / self.n),
            "broken": np.array(broken / self.n),
            "seconds": np.array(time.perf_counter() - began),
        }

    def _back(self, stored: "np.ndarray[Any, Any]") -> Tensor:
        return torch.from_numpy(stored).to(self.door.device or "cpu")

    def _oracle(self, rows: Tensor, number: int) -> Oracle[Any]:
        x, y = self.samples.batch(rows)
        redrawn = getattr(self.threat, "redrawn", None)
        threat = self.threat if redrawn is None else redrawn(number + 1)
        if number == 0:
            check_inputs(x, aimed(y, self.target), threat[rows])
        x = self.door.fit(x)
        goal = aimed(y.to(x.device), self.target)
        return Oracle(self.door, x, goal, on(threat[rows], x), early_stop=False)


def aimed(y: Tensor, target: int | None) -> Goal:
    """Leave the label, or reach the target."""
    return Untargeted(y) if target is None else Targeted(torch.full_like(y, target), y)


def on(threat: Any, x: Tensor) -> Any:  # noqa: ANN401 - a threat model
    """Move what a set holds for each sample to where x is."""
    return threat.to(x.device) if hasattr(threat, "to") else threat
