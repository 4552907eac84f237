"""Branch and bound as an attack: its inputs, put to the model like those of any other."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from saddlepoint.core.access import Labels
from saddlepoint.core.draw import Draw
from saddlepoint.core.threat import ThreatModel

__all__ = ["NAME", "BranchAndBound"]

NAME = "branch-and-bound"


@dataclass(frozen=True, eq=False, repr=False)
class BranchAndBound:
    """Ask about one input per sample, found while its subproblems were bounded.

    points: (*F) by sample number; the sample's own identity says which is its.

    >>> BranchAndBound({})
    branch-and-bound
    """

    points: "dict[int, np.ndarray[Any, Any]]" = field(default_factory=dict)

    def __repr__(self) -> str:
        return NAME

    def __call__(self, oracle: Labels[ThreatModel], draw: Draw) -> None:
        """Ask once for each row: the nearest member of the set, lest rounding left it."""
        found = np.stack([self.points[i] for i in draw.ids.tolist()])
        x = torch.from_numpy(found).to(oracle.x)
        oracle.solved(oracle.threat.project(oracle.x, x - oracle.x))
