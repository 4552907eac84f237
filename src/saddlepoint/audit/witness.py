"""How far a witness is from its sample, measured without the search's own code where it can be."""

from typing import Any

import numpy as np
import torch

from saddlepoint.audit.membership import inspect
from saddlepoint.audit.membership.kind import Array, widen
from saddlepoint.audit.membership.norms import NORMS, moves
from saddlepoint.core.errors import Invalid
from saddlepoint.core.threat import Graded

__all__ = ["distance", "inspect"]


def distance(
    x: Array,
    x_adv: Array,
    threat: Any,  # noqa: ANN401
    u: Array | None = None,
) -> Array:
    """(B,) float64 how far each perturbed input is from its original, in the set's own measure.

    Norms are computed by their definition; other sets with sizes are asked for the size of u, the
    parameters, or of x_adv - x. Raises ``Invalid`` for a set without sizes.

    >>> from saddlepoint import L2
    >>> distance(np.zeros((1, 2)), np.array([[0.3, 0.4]]), L2(eps=1)).tolist()
    [0.5]
    """
    inner = getattr(threat, "threat", threat)
    name = type(inner).__name__
    if name in NORMS:
        return NORMS[name][1](moves(x, x_adv, inner))
    if not isinstance(threat, Graded):
        raise Invalid("threat", repr(threat), "a set whose members have sizes")
    way = widen(x_adv) - x.astype(np.float64) if u is None else u.astype(np.float64)
    clean = torch.from_numpy(x.astype(np.float64))
    size: Array = threat.size(clean, torch.from_numpy(way)).numpy()
    return size
