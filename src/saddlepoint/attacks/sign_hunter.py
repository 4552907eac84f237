"""SignHunter: flip the signs of ever shorter stretches of u, keep what helps."""

from dataclasses import dataclass

import torch

from saddlepoint.attacks.corners import corner, real
from saddlepoint.core.access import Scores
from saddlepoint.core.draw import Draw
from saddlepoint.core.loss import Loss, check_loss
from saddlepoint.core.shapes import flat, put
from saddlepoint.core.spec import compact
from saddlepoint.core.threat import ThreatModel
from saddlepoint.core.whole import require_whole

__all__ = ["SignHunter"]


@dataclass(frozen=True, repr=False)
class SignHunter:
    """u = corner(s) for signs s; flip all, then halves, quarters … of s, and keep gains.

    Sign bits are all you need (1902.06894, alg. 1): a search for the sign of the gradient in which
    stretches of coordinates, in their order, stand and fall together. corner(s) is the far member
    along s: eps s in the L_inf ball. No randomness. Down at single coordinates it begins anew with
    all. n_queries: evaluations per sample. loss: what to climb.

    >>> SignHunter(n_queries=1000)
    SignHunter(n_queries=1000)
    """

    n_queries: int = 5000
    loss: Loss | str | None = "margin"

    __repr__ = compact

    def __post_init__(self) -> None:
        require_whole("n_queries", self.n_queries)
        check_loss(self.loss)

    def __call__(self, oracle: Scores[ThreatModel], draw: Draw) -> None:
        """Start where all signs are plus."""
        oracle = oracle.aim(self.loss)
        sign = torch.ones_like(oracle.threat.start(oracle.x))
        best = oracle.value(corner(oracle, sign)).nan_to_num(0, 0, 0)
        place, dims = torch.arange(flat(sign).shape[1], device=sign.device), flat(sign).shape[1]
        length, first = dims, 0
        for _ in range(1, self.n_queries):
            oracle, sign, best = oracle.shrink(sign, best)
            inside = (place >= first) & (place < first + length)
            new = torch.where(inside.view(sign.shape[1:]), -sign, sign)
            value = oracle.value(corner(oracle, new))
            better = real(value - best, best)
            sign, best = put(better, new, sign), torch.where(better, value, best)
            first += length
            if first >= dims:
                first, length = 0, (length + 1) // 2 if length > 1 else dims
