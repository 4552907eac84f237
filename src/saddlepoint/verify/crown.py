"""Intervals of every node that a function bends, by planes where intervals alone are loose."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from saddlepoint.core.shapes import pieces
from saddlepoint.verify.crop import Crop, cropped
from saddlepoint.verify.interval import Bounds, Interval
from saddlepoint.verify.network import Network
from saddlepoint.verify.operators.affine import Scale
from saddlepoint.verify.operators.operator import Linear
from saddlepoint.verify.operators.rearrange import Reshape
from saddlepoint.verify.planes import least
from saddlepoint.verify.region import Box, Region

__all__ = ["ROOM", "Bounded", "Tighten", "columns", "crown", "exact", "unit_rows"]

ROOM = 1 << 24  # numbers that the coefficients of one node may have at a time


def crown(network: Network, region: Region, over: Callable[[], bool] = lambda: False) -> Bounds:
    """Bounds of every node that a relaxed node reads, in the order of computation.

    Intervals come first; the elements that stay bent are bounded backward, both ways. Where
    intervals are exact (one layer of a box) nothing is gained backward and nothing is tried. Once
    ``over`` says so the rest is left to intervals.
    """
    found = [region.hull()]
    tighten = Tighten(over=over)
    bounds: Bounds = {}
    for n, node in enumerate(network.nodes):
        if node.op is not None:
            found.append(node.op.ibp(*(found[i] for i in node.inputs)))
        if n in network.readers:
            if not exact(network, region, n):
                bent = network.bent(n, found[n])
                found[n] = tighten(network, region, n, found[n], bent, bounds)
            bounds[n] = found[n]
    return bounds


def exact(network: Network, region: Region, n: int) -> bool:
    """Whether intervals are exact at a node: over a box, one layer that mixes functions of it."""
    if not isinstance(region, Box):
        return n == 0
    mixing = 0
    while n not in network.prefix:
        node = network.nodes[n]
        if len(node.inputs) != 1 or not isinstance(node.op, Linear):
            return False
        mixing += not isinstance(node.op, Scale | Reshape)
        n = node.inputs[0]
    return mixing <= 1


Slopes = Mapping[int, tuple[Tensor | None, Tensor | None]]
Lower = Callable[[Network, Region, int, Tensor, Bounds], tuple[Tensor, Slopes]]


class Bounded(NamedTuple):
    """What bounded ``elements`` (B, R) of a node, those that ``meant`` marks, from both sides.

    slopes: t of (B, 2 R) rows, first from below, then from above; crop: the windows they belong to,
    whose places are the samples here, or None.
    """

    elements: Tensor
    meant: Tensor
    slopes: Slopes
    crop: Crop | None


def plain(
    network: Network, region: Region, node: int, a: Tensor, bounds: Bounds
) -> tuple[Tensor, Slopes]:
    """CROWN's own rule, as ``tighten`` asks for it."""
    return least(network, region, node, a, bounds), {}


@dataclass(frozen=True)
class Tighten:
    """Bound elements of a node from both sides.

    Early convolutions are bounded window by window, which gives the same at a fraction of the cost.
    lower: what bounds rows; room: how many numbers the coefficients of one node may have at a time;
    see: is told what bounded which elements; over: tells when to leave the rest as it is.
    """

    lower: Lower = plain
    room: int = ROOM
    see: Callable[[Bounded], None] | None = None
    over: Callable[[], bool] = lambda: False

    def __call__(
        self,
        network: Network,
        region: Region,
        n: int,
        interval: Interval,
        bent: Tensor,
        bounds: Bounds,
    ) -> Interval:
        """Interval of node n with the elements that ``bent`` marks bounded anew."""
        crop = cropped(network, region, n)
        if crop is None:
            return self._rows(network, region, n, interval, bent, bounds, None)
        x = Interval(*(crop.places(t) for t in interval))
        part = crop.network, crop.region(region.hull()), crop.network.output
        found = self._rows(*part, x, crop.places(bent), crop.bounds(bounds), crop)
        return Interval(*(crop.joined(t, interval.low) for t in found))

    def _rows(
        self,
        network: Network,
        region: Region,
        n: int,
        x: Interval,
        bent: Tensor,
        bounds: Bounds,
        crop: Crop | None,
    ) -> Interval:
        low, high = x.low.flatten(1).clone(), x.high.flatten(1).clone()
        widest = max(node.shape.numel() for node in network.nodes[: n + 1])
        for index, meant in columns(bent.flatten(1), max(1, self.room // (2 * widest * len(low)))):
            if self.over():
                break
            a = unit_rows(index, network.nodes[n].shape, low)
            bound, slopes = self.lower(network, region, n, torch.cat([a, -a], 1), bounds)
            below, above = bound.chunk(2, 1)
            if self.see is not None:
                self.see(Bounded(index, meant, slopes, crop))
            # Where padding repeats an element both give the same value: order does not matter.
            old_low, old_high = low.gather(1, index), high.gather(1, index)
            low.scatter_(1, index, torch.where(meant, torch.maximum(old_low, below), old_low))
            high.scatter_(1, index, torch.where(meant, torch.minimum(old_high, -above), old_high))
        return Interval(low.view_as(x.low), high.view_as(x.high))


def columns(chosen: Tensor, most: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Indices of the chosen elements of each sample (B, N), at most ``most`` at a time.

    Samples with fewer of them repeat their first; the mask says which are meant.
    """
    count = int(chosen.sum(1).max()) if chosen.numel() else 0
    if not count:
        return
    order = chosen.to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, :count]
    real = chosen.gather(1, order)
    order = torch.where(real, order, order[:, :1])
    real = real | (order == order[:, :1]) & chosen.any(1, keepdim=True)
    for columns in pieces(torch.arange(count, device=chosen.device), most):
        yield order[:, columns], real[:, columns]


def unit_rows(index: Tensor, shape: torch.Size, like: Tensor) -> Tensor:
    """(B, R) element numbers -> (B, R, *shape) with a one at that element."""
    rows = like.new_zeros(*index.shape, shape.numel())
    return rows.scatter_(2, index[..., None], 1.0).reshape(*index.shape, *shape)
