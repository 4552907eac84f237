"""Planes above a ReLU that lean: tighter than its chord, over the box that its layer reads.

The chord of relu(<w, x> + b) is a multiple of <w, x>. Over a box of x any plane <w s, x> + d is
above it as well, s one number in [0, 1] for each weight, with d large enough for both of its
pieces: d = max(max -<w s, x>, b + max <w (1 - s), x>). These planes are the whole upper side of the
function's convex hull over the box (1811.01988, 2006.14076); s that are all equal give the chord.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from saddlepoint.verify.interval import Bounds, Interval
from saddlepoint.verify.network import Network
from saddlepoint.verify.operators.linear import Convolution, Matrix
from saddlepoint.verify.operators.piecewise import Bend
from saddlepoint.verify.region import Box, Region

__all__ = ["Cover", "Lean", "Roof", "Roofs", "fits", "roofed", "roofs", "slots"]

ROOM = 1 << 22  # numbers that the planes of one node's rows may have, or a layer's matrix


@dataclass(frozen=True, eq=False)
class Roof:
    """What the planes above the bent elements of one function have in common.

    base: the node whose box they lean over; index: (B, N) flat numbers of the elements, real: which
    of them are meant; place, weight: (B, N, K) the inputs of an element with a weight that is not
    0, ascending, and these weights; least, most: (B, N, K) ends of weight times input; bias and
    share: (B, N), share being s of the chord.
    """

    base: int
    index: Tensor
    real: Tensor
    place: Tensor
    weight: Tensor
    least: Tensor
    most: Tensor
    bias: Tensor
    share: Tensor

    def chords(self, rows: int) -> Tensor:
        """(B, rows, N, K) where s begins."""
        return self.share[:, None, :, None].repeat(1, rows, 1, self.place.shape[2])


@dataclass(frozen=True, eq=False)
class Cover:
    """Planes: a roof with s, (B, R, N, K), or (1, 1, N, K) where all rows share it."""

    roof: Roof
    s: Tensor

    @functools.cached_property
    def _sides(self) -> tuple[Tensor, Tensor]:
        """(B, R, N) least offsets for the piece that is 0, and for the one that is linear."""
        low = -torch.einsum("brnk,bnk->brn", self.s, self.roof.least)
        top = (self.roof.bias + self.roof.most.sum(2))[:, None]
        return low, top - torch.einsum("brnk,bnk->brn", self.s, self.roof.most)

    @functools.cached_property
    def offset(self) -> Tensor:
        """(B, R, N) d."""
        return torch.maximum(*self._sides)

    @functools.cached_property
    def _leaning(self) -> Tensor:
        """(B, R, N, K) coefficients of the inputs."""
        return self.s * self.roof.weight[:, None]

    def whole_bytes(self) -> Tensor:
        """S in whole 255ths."""
        return (self.s * 255).round() / 255

    @property
    def _shared(self) -> bool:
        return self.s.shape[:2] == (1, 1)

    def _matrix(self, size: int) -> Tensor:
        """(N, size) the coefficients, where they are shared."""
        if "_dense" not in self.__dict__:
            dense = self._leaning.new_zeros(self.s.shape[2], size)
            self.__dict__["_dense"] = dense.scatter_add_(1, self.roof.place[0], self._leaning[0, 0])
        found: Tensor = self.__dict__["_dense"]
        return found

    def slope(self, down: Tensor, shape: torch.Size) -> Tensor:
        """Coefficients (B, R, *shape) of the base where those of the planes are (B, R, N)."""
        if self._shared:
            return (down @ self._matrix(shape.numel())).reshape(*down.shape[:2], *shape)
        flat = down.new_zeros(*down.shape[:2], shape.numel())
        parts = (down[..., None] * self._leaning).flatten(2)
        place = self.roof.place.flatten(1)[:, None].expand_as(parts)
        return flat.scatter_add_(2, place, parts).reshape(*down.shape[:2], *shape)

    def constant(self, down: Tensor) -> Tensor:
        """(B, R) what the offsets add."""
        return (down * self.offset).sum(2)

    def _taps(self, x: Tensor) -> Tensor:
        """(B, R, N, K) the inputs of every element, from the base (B, R, *shape)."""
        place = self.roof.place.flatten(1)[:, None]
        place = place.expand(len(x), x.shape[1], -1)
        found: Tensor = x.flatten(2).gather(2, place)
        return found.reshape(*x.shape[:2], *self.roof.place.shape[1:])

    def at(self, x: Tensor) -> Tensor:
        """(B, R, N) values of the planes at the base (B, R, *shape)."""
        if self._shared:
            return x.flatten(2) @ self._matrix(x[0, 0].numel()).mT + self.offset
        return (self._leaning * self._taps(x)).sum(3) + self.offset

    def rise(self, down: Tensor, x: Tensor) -> Tensor:
        """(B, R, N, K) derivative of the bounds by s, at x."""
        low, top = (side[..., None] for side in self._sides)
        r = self.roof
        turn = torch.where(low > top, r.least[:, None], r.most[:, None])
        turn = torch.where(low == top, (r.least + r.most)[:, None] / 2, turn)
        return down[..., None] * (r.weight[:, None] * self._taps(x) - turn)


Roofs = Mapping[int, Cover]


@dataclass(frozen=True, eq=False)
class Lean:
    """A cover in use: ``down`` (B, R, N) <= 0 are the coefficients that it takes."""

    cover: Cover
    down: Tensor

    @staticmethod
    def of(cover: Cover, a: Tensor, bent: Tensor) -> "Lean":
        """Take the coefficients < 0 of a (B, R, *shape) where ``bent`` (B, 1, *shape)."""
        index = cover.roof.index[:, None]
        live = bent.flatten(2).gather(2, index.expand(len(bent), 1, -1)) & cover.roof.real[:, None]
        down = a.flatten(2).gather(2, index.expand(*a.shape[:2], -1)).clamp(max=0)
        return Lean(cover, down * live)

    def put(self, value: Tensor, x: Tensor) -> Tensor:
        """Values of the function (B, R, *shape) with those of the planes in their places."""
        index = self.cover.roof.index[:, None].expand(*value.shape[:2], -1)
        flat = value.flatten(2)
        new = torch.where(self.down < 0, self.cover.at(x), flat.gather(2, index))
        return flat.scatter(2, index, new).view_as(value)


def roofed(network: Network, before: int) -> list[int]:
    """Functions before a node that planes may cover: ReLUs of one layer over a box of inputs."""
    found = []
    for n in network.relaxed:
        node = network.nodes[n]
        layer = network.nodes[node.inputs[0]]
        if isinstance(node.op, Bend) and (node.op.left, node.op.right) == (0.0, 1.0):
            dense = isinstance(layer.op, Matrix) and len(network.nodes[node.inputs[0]].shape) == 1
            flat = isinstance(layer.op, Convolution)
            if (dense or flat) and layer.inputs[0] in network.prefix and n < before:
                found.append(n)
    return found


def roofs(network: Network, region: Region, before: int, bounds: Bounds, rows: int) -> Roofs:
    """Covers that are chords still, of what comes before a node; none where there is no room."""
    found: dict[int, Cover] = {}
    if not isinstance(region, Box):
        return found
    for n in roofed(network, before):
        roof = _roof(network, region, n, bounds, rows)
        if roof is not None:
            found[n] = Cover(roof, roof.chords(rows))
    return found


def taps(network: Network, n: int) -> tuple[Tensor, Tensor]:
    """(size, K) places and weights of the inputs of every element of the layer that n reads."""
    layer = network.nodes[network.nodes[n].inputs[0]]
    base, size = network.nodes[layer.inputs[0]].shape, layer.shape.numel()
    op = layer.op
    if not isinstance(op, Matrix | Convolution):
        raise AssertionError("planes lean over the inputs of one layer")
    units = torch.eye(size, dtype=op.weight.dtype).reshape(1, size, *layer.shape)
    dense = op.transpose(units, (base,))[0].reshape(size, -1)
    there = dense != 0
    most = max(1, int(there.sum(1).max()))
    place = there.to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, :most]
    return place, dense.gather(1, place)


def _known(network: Network, n: int) -> tuple[Tensor, Tensor]:
    if n not in network.taps:
        network.taps[n] = taps(network, n)
    return network.taps[n]


def slots(
    network: Network, n: int, columns: Tensor, element: Tensor, place: Tensor, real: Tensor
) -> Tensor:
    """Where s of some elements and inputs lies among those of ``columns``, the last if nowhere."""
    places, _ = _known(network, n)
    base = network.nodes[network.nodes[network.nodes[n].inputs[0]].inputs[0]].shape.numel()
    own = places[columns]
    count = own.shape[1]
    table = torch.full((len(columns) + 1, base + 1), own.numel())
    table[:-1].scatter_(1, own, torch.arange(own.numel()).view_as(own))
    row = torch.full((network.nodes[n].shape.numel() + 1,), len(columns))
    row[columns] = torch.arange(len(columns))
    found = table[row[element], place]
    return torch.where(real, found, len(columns) * count)


def fits(network: Network, before: int, bounds: Bounds, rows: int) -> bool:
    """Whether there are planes before a node, and room for all of them above so many rows."""
    listed = roofed(network, before)
    source = {n: network.nodes[n].inputs[0] for n in listed}
    counts = {n: network.bent(k, bounds[k]).flatten(1).sum(1).max() for n, k in source.items()}
    return bool(listed) and all(_fits(network, n, int(c), rows) for n, c in counts.items())


def _fits(network: Network, n: int, count: int, rows: int) -> bool:
    layer = network.nodes[network.nodes[n].inputs[0]]
    base = network.nodes[layer.inputs[0]].shape.numel()
    if not count or layer.shape.numel() * base > ROOM:
        return False
    return rows * count * _known(network, n)[0].shape[1] <= ROOM


def _roof(network: Network, region: Box, n: int, bounds: Bounds, rows: int) -> Roof | None:
    """Geometry over the elements that are bent in these bounds."""
    source = network.nodes[n].inputs[0]
    layer = network.nodes[source]
    x = bounds[source]
    bent = network.bent(source, x).flatten(1)
    count = int(bent.sum(1).max())
    if not _fits(network, n, count, len(bent) * rows):
        return None
    place, weight = _known(network, n)
    index = bent.to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, :count]
    low, high = (end.flatten(1) for end in _box(network, layer.inputs[0], region))
    where = place[index]
    ends = [torch.gather(end, 1, where.flatten(1)).view(where.shape) for end in (low, high)]
    w = weight[index]
    one, two = (w * end for end in ends)
    flat_low, flat_high = x.low.flatten(1).gather(1, index), x.high.flatten(1).gather(1, index)
    real = bent.gather(1, index)
    share = torch.where(real, flat_high / (flat_high - flat_low).clamp(min=1e-30), 0.0)
    # The offset is that of the piece that is linear, at no input at all.
    bias = getattr(layer.op, "bias", None)
    each = torch.zeros_like(flat_low)
    if bias is not None:
        per = layer.shape.numel() // len(bias)
        each = bias[index // per]
    ends = [torch.minimum(one, two), torch.maximum(one, two)]
    return Roof(layer.inputs[0], index, real, where, w, ends[0], ends[1], each, share)


def _box(network: Network, n: int, region: Box) -> tuple[Tensor, Tensor]:
    """Values of a node of the prefix, a box."""
    node = network.nodes[n]
    if node.op is None:
        return region.hull()
    low, high = node.op.ibp(Interval(*_box(network, node.inputs[0], region)))
    return low, high
