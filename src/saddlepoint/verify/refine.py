"""Tighter intervals of the elements that stay bent, each with slopes of its own."""

from dataclasses import dataclass

import torch
from torch import Tensor

from saddlepoint.verify.alpha import Ascent, initial
from saddlepoint.verify.crown import ROOM, Bounds, columns, exact, unit_rows
from saddlepoint.verify.interval import Interval
from saddlepoint.verify.network import Network
from saddlepoint.verify.operators.operator import relaxes
from saddlepoint.verify.region import Region

__all__ = ["Refine"]

_ASCENT = Ascent(steps=4, lr=0.5)


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
                found[n] = self._node(network, region, n, bounds[n], op.bent(bounds[n]), found)
        return found

    def _node(
        self, network: Network, region: Region, n: int, x: Interval, bent: Tensor, bounds: Bounds
    ) -> Interval:
        low, high = x.low.flatten(1).clone(), x.high.flatten(1).clone()
        widest = max(node.shape.numel() for node in network.nodes[: n + 1])
        earlier = {k: v for k, v in bounds.items() if k < n}
        for index, mask in columns(bent.flatten(1), max(1, self.room // (2 * widest * len(low)))):
            a = unit_rows(index, network.nodes[n].shape, low)
            rows = torch.cat([a, -a], 1)
            slopes = initial(network, earlier, n, rows.shape[1])
            found = self.ascent(network, region, n, rows, earlier, slopes)
            below, above = found.bound.chunk(2, 1)
            old_low, old_high = low.gather(1, index), high.gather(1, index)
            low.scatter_(1, index, torch.where(mask, torch.maximum(old_low, below), old_low))
            high.scatter_(1, index, torch.where(mask, torch.minimum(old_high, -above), old_high))
        return Interval(low.view_as(x.low), high.view_as(x.high))
