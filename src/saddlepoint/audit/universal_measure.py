"""Answers to samples with a shared u on them, and a few of them to look at."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saddlepoint.audit.inspection import one_of_each
from saddlepoint.audit.journal import Record
from saddlepoint.audit.samples import Samples
from saddlepoint.audit.shared import Shared
from saddlepoint.audit.universal_fit import on
from saddlepoint.core.door import Door
from saddlepoint.core.goal import Untargeted
from saddlepoint.core.search import check_inputs

__all__ = ["COLUMNS", "Measure"]

COLUMNS = ("label", "clean", "prediction", "control")
SHOWN = 8


@dataclass(frozen=True, eq=False)
class Measure:
    """The samples that u is measured on, and the set around each."""

    door: Door
    samples: Samples
    threat: Any

    def answers(self, rows: Tensor, us: tuple[Tensor, Tensor]) -> Record:
        """Labels, and what the model says without a perturbation and with either of two."""
        x, y = self.samples.batch(rows)
        check_inputs(x, Untargeted(y), self.threat[rows])
        x = self.door.fit(x)
        moved = [x, *(self.moved(x, rows, u)[0] for u in us)]
        said = [_predictions(self.door.scores(m)) for m in moved]
        return {
            "rows": rows.numpy(),
            "label": y.cpu().numpy(),
            **dict(zip(COLUMNS[1:], said, strict=True)),
        }

    def moved(self, x: Tensor, rows: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs with u (1, *P) cut to the set of each, and what it was cut to."""
        threat = on(self.threat[rows], x)
        each = threat.project(x, u.to(x).expand(len(x), *u.shape[1:]))
        return threat.apply(x, each), each

    def shown(self, found: Shared) -> dict[str, "np.ndarray[Any, Any]"]:
        """A few samples before and after, those that were fooled first."""
        t = found.table
        fooled = np.flatnonzero(t["prediction"] != t["clean"])
        among = fooled if len(fooled) else t["index"]
        chosen = among[one_of_each(t["label"][among], SHOWN)]
        rows = torch.from_numpy(chosen)
        x = self.door.fit(self.samples.batch(rows)[0])
        moved, _ = self.moved(x, rows, found.u[None])
        both = {"x": x.cpu().numpy(), "x_adv": moved.cpu().numpy()}
        return both | {k: t[k][chosen] for k in ("index", *COLUMNS)}


def _predictions(scores: Tensor) -> "np.ndarray[Any, Any]":
    """Return the best class of each row, -1 where a score is not finite."""
    best = torch.where(scores.isfinite().all(1), scores.argmax(1), -1)
    return best.cpu().numpy()
