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
from saddlepoint.verify.roof import Roofs

__all__ = ["ROOM", "Bounded", "Lowered", "Tighten", "columns", "crown", "exact", "unit_rows"]

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


class Lowered(NamedTuple):
    """Lower bounds (B, R) of rows, with the slopes and the planes behind them."""

    bound: Tensor
    slopes: Slopes
    roofs: Roofs


Lower = Callable[[Network, Region, int, Tensor, Bounds], Lowered]


class Bounded(NamedTuple):
    """What bounded ``elements`` (B, R) of a node, those that ``meant`` marks, from both sides.

    made: by (B, 2 R) rows, first from below, then from above; crop: the windows they belong to, or
    None; places: (B,) which of these each sample is.
    """

    elements: Tensor
    meant: Tensor
    made: Lowered
    crop: Crop | None
    places: Tensor


def plain(network: Network, region: Region, node: int, a: Tensor, bounds: Bounds) -> Lowered:
    """CROWN's own rule, as ``tighten`` asks for it."""
    return Lowered(least(network, region, node, a, bounds), {}, {})


@dataclass(frozen=True)
class Tighten:
    """Bound elements of a node from both sides.

    Early convolutions are bounded window by window, which gives the same at a fraction of the cost.
    lower: what bounds rows; room: how many numbers the coefficients of one node may have at a time;
    see: is told what bounded which elements; over: tells when to leave the rest as it is; single:
    each element is a sample of its own, for rows that cost more than a sample does.
    """

    lower: Lower = plain
    room: int = ROOM
    see: Callable[[Bounded], None] | None = None
    over: Callable[[], bool] = lambda: False
    single: bool = False

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
        for places, index, meant in self._parts(bent.flatten(1), widest):
            if self.over():
                break
            a = unit_rows(index, network.nodes[n].shape, low)
            some = (region, bounds)
            if self.single:
                some = region[places], {k: b.take(places) for k, b in bounds.items()}
            made = self.lower(network, some[0], n, torch.cat([a, -a], 1), some[1])
            below, above = made.bound.chunk(2, 1)
            if self.see is not None:
                self.see(Bounded(index, meant, made, crop, places))
            # Where padding repeats an element both give the same value: order does not matter.
            at = places[:, None].expand_as(index), index
            old_low, old_high = low[at], high[at]
            low[at] = torch.where(meant, torch.maximum(old_low, below), old_low)
            high[at] = torch.where(meant, torch.minimum(old_high, -above), old_high)
        return Interval(low.view_as(x.low), high.view_as(x.high))

    def _parts(self, bent: Tensor, widest: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Samples (B,), their elements (B, R), and which of these are meant."""
        if self.single:
            every = bent.nonzero()
            for some in pieces(every, max(1, self.room // (2 * widest))):
                yield some[:, 0], some[:, 1:], torch.ones_like(some[:, 1:], dtype=torch.bool)
            return
        samples = torch.arange(len(bent), device=bent.device)
        for index, meant in columns(bent, max(1, self.room // (2 * widest * len(bent)))):
            yield samples, index, meant


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
