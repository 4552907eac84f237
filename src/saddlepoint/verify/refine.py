"""Tighter intervals of the elements that stay bent, each with slopes of its own."""

from dataclasses import dataclass

from torch import Tensor

from saddlepoint.verify.alpha import Ascent, initial
from saddlepoint.verify.crown import ROOM, exact, tighten
from saddlepoint.verify.interval import Bounds
from saddlepoint.verify.network import Network
from saddlepoint.verify.operators.operator import relaxes
from saddlepoint.verify.region import Region

__all__ = ["Refine"]

_ASCENT = Ascent(steps=12, lr=0.5)


@dataclass(frozen=True)
class Refine:
    """Bound every bent element from both sides by ``ascent``, node after node.

    room: numbers that the slopes of one node may have at a time.
    """

    ascent: Ascent = _ASCENT
    room: int = ROOM // 4

    def __call__(self, network: Network, region: Region, bounds: Bounds) -> Bounds:
        """Return tighter bounds of the same nodes."""
        found: Bounds = {}
        readers = {network.nodes[n].inputs[0]: n for n in reversed(network.relaxed)}
        for n in sorted(bounds):
            op = network.nodes[readers[n]].op
            found[n] = bounds[n]
            if relaxes(op) and not exact(network, region, n):
                bent, earlier = op.bent(bounds[n]), {k: x for k, x in found.items() if k < n}
                what = network, region, n, bounds[n], bent, earlier
                found[n] = tighten(*what, self._lower, self.room)
        return found

    def _lower(
        self, network: Network, region: Region, node: int, a: Tensor, bounds: Bounds
    ) -> Tensor:
        slopes = initial(network, bounds, node, a.shape[1])
        return self.ascent(network, region, node, a, bounds, slopes).bound
