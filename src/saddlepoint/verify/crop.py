"""The part of a convolutional network that one place of a layer sees.

An element of an early convolution depends on a window of the input. Bounded there, its rows cost
what the window costs, not what the image does: ten times less for the second layer of small nets.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from saddlepoint.verify.interval import Bounds, Interval
from saddlepoint.verify.network import Network, Node
from saddlepoint.verify.operators.affine import Scale
from saddlepoint.verify.operators.linear import Convolution, Matrix
from saddlepoint.verify.operators.operator import relaxes
from saddlepoint.verify.operators.piecewise import Bend, Clip
from saddlepoint.verify.operators.rearrange import Reshape
from saddlepoint.verify.region import Box, Region

__all__ = ["Crop", "crop", "cropped"]

_WORTH = 0.5  # share of the image above which a window saves nothing


@dataclass(frozen=True, eq=False)
class Crop:
    """A window of a network for every place of node ``node``; the places are its samples.

    network: computes the node's channels at one place, (C,), from a window of the input. whole: the
    network it is cut from. spans: by the window's node, the node of the whole network with the
    size, step and first place of the windows on it. Beyond the edges inputs and activations are
    zero, as padding makes them.
    """

    node: int
    network: Network
    spans: dict[int, tuple[int, "_Span"]]
    whole: Network

    def places(self, t: Tensor) -> Tensor:
        """(B, C, H, W) -> (B H W, C): the node's channels at every place."""
        return t.flatten(2).transpose(1, 2).flatten(0, 1)

    def joined(self, t: Tensor, like: Tensor) -> Tensor:
        """Undo ``places``; ``like`` is (B, C, H, W)."""
        return t.reshape(len(like), -1, like.shape[1]).transpose(1, 2).reshape(like.shape)

    @property
    def count(self) -> int:
        """How many places there are."""
        return self.whole.nodes[self.node].shape[1:].numel()

    def _numbers(self, n: int) -> Tensor:
        """(places, window) from 1 the element of the whole network, 0 beyond the edges."""
        whole, span = self.spans[n]
        shape = self.whole.nodes[whole].shape
        numbers = torch.arange(1.0, shape.numel() + 1, dtype=torch.float64).reshape(1, *shape)
        return span.windows(numbers).long().flatten(1)

    def numbers(self, n: int, index: Tensor, places: Tensor) -> Tensor:
        """Elements of the whole network for those of node n in windows at ``places``; or -1."""
        return self._numbers(n)[places].gather(1, index.flatten(1)).view_as(index) - 1

    def spread(self, n: int, t: Tensor, shape: torch.Size, places: Tensor) -> Tensor:
        """(B, R, *window) of node n in windows at ``places`` -> (B, R, *shape), zero elsewhere."""
        where = self._numbers(n)[places][:, None].expand(-1, t.shape[1], -1)
        made = t.new_zeros(*t.shape[:2], shape.numel() + 1)
        return made.scatter_(2, where, t.flatten(2))[:, :, 1:].reshape(*t.shape[:2], *shape)

    def region(self, box: Interval) -> Box:
        """Windows of boxes (B, C, H, W), one for each sample and place.

        Functions of single pixels map a box to a box: the windows are cut from that one.
        """
        base, span = self.spans[0]
        image = self._image(base, box)
        return Box(span.windows(image.low), span.windows(image.high))

    def _image(self, n: int, box: Interval) -> Interval:
        """Values of a node that applies functions of single pixels to the input."""
        op = self.whole.nodes[n].op
        return box if op is None else op.ibp(self._image(self.whole.nodes[n].inputs[0], box))

    def bounds(self, bounds: Bounds) -> Bounds:
        """Windows of the intervals of earlier nodes."""
        return {
            n: Interval(span.windows(bounds[whole].low), span.windows(bounds[whole].high))
            for n, (whole, span) in self.spans.items()
            if whole in bounds and n
        }


@dataclass(frozen=True)
class _Span:
    """Windows of ``size`` on an image of ``full``, ``step`` apart, the first at ``first``."""

    size: tuple[int, int]
    step: tuple[int, int]
    first: tuple[int, int]
    count: tuple[int, int]
    full: tuple[int, int]

    def windows(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B places, C, *size), zero beyond the edges."""
        sides: list[int] = []
        for axis in (1, 0):
            reach = self.first[axis] + (self.count[axis] - 1) * self.step[axis] + self.size[axis]
            sides += [max(0, -self.first[axis]), max(0, reach - self.full[axis])]
        padded = F.pad(x, sides)
        begin = [max(0, f) for f in self.first]
        cut = padded[:, :, begin[0] :, begin[1] :]
        rows = cut.unfold(2, self.size[0], self.step[0]).unfold(3, self.size[1], self.step[1])
        rows = rows[:, :, : self.count[0], : self.count[1]]
        return rows.permute(0, 2, 3, 1, 4, 5).flatten(0, 2).contiguous()


def cropped(network: Network, region: Region, node: int) -> Crop | None:
    """Return ``crop`` where the region is a box, whose windows are boxes."""
    return crop(network, node) if isinstance(region, Box) else None


def crop(network: Network, node: int) -> Crop | None:
    """Return the windows of a convolution's places; None where that is not possible or no gain.

    Every node between the input and ``node`` must be a convolution in two dimensions or a function
    of each element.
    """
    chain = _chain(network, node)
    if chain is None:
        return None
    last = network.nodes[node]
    size, step, first = (1, 1), (1, 1), (0, 0)
    count = tuple(last.shape[1:])
    spans: list[tuple[int, _Span]] = []
    for n in chain:  # from the node down to the input
        op, source = network.nodes[n].op, network.nodes[n].inputs[0]
        if isinstance(op, Convolution):
            kernel = op.weight.shape[2:]
            size = _pair(
                (w - 1) * s + d * (k - 1) + 1
                for w, s, d, k in zip(size, op.stride, op.dilation, kernel, strict=True)
            )
            first = _pair(f * s - p for f, s, p in zip(first, op.stride, op.padding, strict=True))
            step = _pair(a * s for a, s in zip(step, op.stride, strict=True))
        full = _pair(network.nodes[source].shape[1:])
        spans.append((source, _Span(size, step, first, _pair(count), full)))
    area = spans[-1][1].size[0] * spans[-1][1].size[1]
    if area > _WORTH * network.nodes[spans[-1][0]].shape[1:].numel():
        return None
    return _build(network, node, chain, spans)


def _pair(values: Iterable[int]) -> tuple[int, int]:
    first, second = (int(v) for v in values)
    return first, second


def _chain(network: Network, node: int) -> list[int] | None:
    """Nodes from ``node`` down to where functions of single pixels begin, if all can be cropped.

    What a convolution reads must be such a pixel, or a function that is flat at [0, 0]
    (``_silent``): beyond the edges it hands no coefficient on, as padding has nothing behind it.
    """
    chain = []
    n, convolutions = node, 0
    while n not in network.prefix:
        here = network.nodes[n]
        if isinstance(here.op, Convolution):
            below = here.inputs[0]
            if below not in network.prefix and not _silent(network.nodes[below].op):
                return None
            if here.op.weight.dim() != 4:
                return None
            convolutions += 1
        elif n == node or not (relaxes(here.op) or _by_channel(here.op)):
            return None
        chain.append(n)
        n = here.inputs[0]
    top = network.nodes[node].op
    if convolutions < 2 or not isinstance(top, Convolution) or top.groups != 1:
        return None
    return chain if len(network.nodes[n].shape) == 3 else None


def _by_channel(op: object) -> bool:
    """Whether an operator scales and shifts whole channels, the same at every place."""
    if not isinstance(op, Scale):
        return False
    constants = [t for t in op.factors() if t is not None]
    return all(t.numel() == 1 or (t.dim() == 3 and t.shape[1:].numel() == 1) for t in constants)


def _silent(op: object) -> bool:
    """Whether the lines of a function over [0, 0] are zero."""
    return (isinstance(op, Bend) and op.left == 0) or (isinstance(op, Clip) and op.least == 0)


def _build(network: Network, node: int, chain: list[int], spans: list[tuple[int, _Span]]) -> Crop:
    sizes = {whole: span for whole, span in spans}
    base = spans[-1][0]
    shape = torch.Size((network.nodes[base].shape[0], *sizes[base].size))
    nodes = [Node(None, (), shape)]
    found = {0: (base, sizes[base])}
    for n in reversed(chain[1:]):
        op = network.nodes[n].op
        shape = torch.Size((network.nodes[n].shape[0], *sizes[n].size))
        if isinstance(op, Convolution):
            none = (0,) * len(op.padding)
            op = Convolution(op.weight, op.bias, op.stride, none, op.dilation, op.groups)
        nodes.append(Node(op, (len(nodes) - 1,), shape))
        found[len(nodes) - 1] = (n, sizes[n])
    top = network.nodes[node].op
    if not isinstance(top, Convolution):
        raise AssertionError("a chain ends in a convolution")
    nodes.append(Node(Reshape((shape.numel(),)), (len(nodes) - 1,), torch.Size((shape.numel(),))))
    weight = _dense(top.weight, top.dilation, (int(shape[1]), int(shape[2])))
    nodes.append(Node(Matrix(weight, top.bias), (len(nodes) - 1,), torch.Size((len(weight),))))
    return Crop(node, Network(tuple(nodes)), found, network)


def _dense(weight: Tensor, dilation: tuple[int, ...], size: tuple[int, int]) -> Tensor:
    """(C, in, k, k) -> (C, in h w): the kernel over its window, with holes where it is dilated."""
    spread = weight.new_zeros(*weight.shape[:2], *size)
    spread[:, :, :: dilation[0], :: dilation[1]] = weight
    return spread.flatten(1)
