"""How far the witnesses of an audit are from their inputs as a network sees them (LPIPS)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from saddlepoint.audit.breaks import witnesses
from saddlepoint.audit.evidence import Evidence
from saddlepoint.audit.journal import Journal
from saddlepoint.audit.membership.feature import feature_distance
from saddlepoint.audit.samples import Samples
from saddlepoint.models.perceptual import Perceptual

__all__ = ["Perceived", "perceive"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Perceived:
    """Distances of witnesses, and the network that measured them.

    network, sha256, layers: of the network. distance: (n,) float64, NaN where there is no witness;
    0 where the clean input is wrong as it is. moved: (n,) bool, samples that an attack broke.
    """

    network: str
    sha256: str
    layers: tuple[str, ...]
    distance: Array
    moved: Array

    def as_json(self) -> dict[str, Any]:
        """Return the network and the spread of distances over what attacks have broken."""
        far = self.distance[self.moved]
        spread = np.quantile(far, [0, 0.25, 0.5, 0.75, 1]).tolist() if len(far) else []
        return {
            "network": self.network,
            "sha256": self.sha256,
            "layers": list(self.layers),
            "witnesses": len(far),
            "quartiles": spread,
        }


def perceive(e: Evidence, journal: Journal, samples: Samples, seen: Perceptual) -> Perceived:
    """Measure every witness that the journal holds; one chunk in memory at a time."""
    far = np.full(e.n, np.nan)
    for rows, moved in witnesses(e, journal):
        x, _ = samples.batch(torch.from_numpy(rows))
        far[rows] = feature_distance(seen, x.numpy().astype(np.float64), moved.astype(np.float64))
    name = seen.name or seen.sha256
    return Perceived(name, seen.sha256, seen.layers, far, e.broken_by() > 0)
