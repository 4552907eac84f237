"""Intervals forward and planes backward through a network in float64, written anew.

Of the operators only ``forward`` is used. What a linear one does to coefficients is its
vector-Jacobian product, by autograd; what its constants add is its value at zero.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from saddlepoint.core.errors import Unsupported
from saddlepoint.core.shapes import pieces
from saddlepoint.verify.certificate import shares
from saddlepoint.verify.network import Network, Node
from saddlepoint.verify.operators.affine import Add, BatchNorm, Scale, Subtract
from saddlepoint.verify.operators.linear import Convolution, Matrix, TransposedConvolution
from saddlepoint.verify.operators.maximum import Larger
from saddlepoint.verify.operators.rearrange import Concat, Reshape, Sift
from saddlepoint.verify.proof.inputs import Inputs
from saddlepoint.verify.proof.lines import FREE, Lines, image, lines
from saddlepoint.verify.proof.roofs import Cover, Roofed, roofed
from saddlepoint.verify.proof.slots import Range, Slot, redrawn, sources

__all__ = ["Far", "plane", "sweep"]

ROOM = 1 << 19  # numbers that the coefficients of one node may have at a time


@dataclass(frozen=True, eq=False)
class Far:
    """Bounds elements of ``node`` by planes, a few rows at a time, from what lies before it."""

    network: Network
    node: int
    where: Inputs
    found: Sequence[Range]
    drawn: Mapping[int, Lines]

    def __call__(
        self,
        index: Tensor,
        sign: int,
        listed: Sequence[Slot] = (),
        t: Tensor | None = None,
        covers: Sequence[Cover] = (),
        s: Tensor | None = None,
    ) -> Tensor:
        """(R,) lower bounds of sign times the elements; t (R, T) moves the lines of slots.

        s: (R, W), of planes in place of the upper lines that ``covers`` names. Of t the first
        columns are read; bytes are 255ths.
        """
        nodes = self.network.nodes
        shape, widest = nodes[self.node].shape, max(n.shape.numel() for n in nodes[: self.node + 1])
        parts = [torch.zeros(0, dtype=torch.float64)]
        for some in pieces(torch.arange(len(index)), max(1, ROOM // widest)):
            a = torch.zeros(len(some), shape.numel(), dtype=torch.float64)
            a[torch.arange(len(some)), index[some]] = float(sign)
            own = {} if t is None else redrawn(self.network, self.found, listed, shares(t[some]))
            over = {}
            if s is not None:
                over = roofed(self.network, self.found, covers, shares(s[some]))
            drawn = {**self.drawn, **own}
            slope, constant = plane(
                self.network, self.node, a.reshape(-1, *shape), drawn, None, over
            )
            parts.append(self.where.least(slope) + constant)
        return torch.cat(parts)


def sweep(
    network: Network, where: Inputs, settle: Callable[[int, Range, Far], Range]
) -> tuple[list[Range], dict[int, Lines]]:
    """Intervals of all nodes, (1, *shape) each, and lines of the functions.

    ``settle(n, interval, far)`` has the last word on a node that a function reads; it may ask
    ``far(index, sign)`` for lower bounds of sign times the elements ``index`` by planes.
    """
    found: list[Range] = []
    drawn: dict[int, Lines] = {}
    read = sources(network)
    for n, node in enumerate(network.nodes):
        x = [found[i] for i in node.inputs]
        if n == 0:
            near = (where.low[None], where.high[None])
        elif type(node.op) in FREE:
            drawn[n] = lines(node.op, *x[0])
            near = image(node.op, *x[0])
        else:
            near = _interval(node.op, x)
        if n in read:
            near = settle(n, near, Far(network, n, where, found, drawn))
        found.append(near)
    return found, drawn


def _interval(op: Any, x: list[Range]) -> Range:  # noqa: ANN401
    """Ends of a linear operator's values, and of the larger of two."""
    low, high = x[0]
    if isinstance(op, Larger):
        return torch.maximum(low, x[1][0]), torch.maximum(high, x[1][1])
    if isinstance(op, Subtract):
        return low - x[1][1], high - x[1][0]
    if isinstance(op, Add | Reshape | Concat | Sift):  # no weight below zero
        return op.forward(*(e for e, _ in x)), op.forward(*(e for _, e in x))
    middle, radius = op.forward((low + high) / 2), (high - low) / 2
    if isinstance(op, Matrix | Convolution | TransposedConvolution):
        radius = replace(op, weight=op.weight.abs(), bias=None).forward(radius)
    elif isinstance(op, Scale | BatchNorm):
        factor = op.forward(torch.ones_like(low)) - op.forward(torch.zeros_like(low))
        radius = factor.abs() * radius
    else:
        raise Unsupported(f"no independent checker knows {type(op).__name__}")
    return middle - radius, middle + radius


def plane(
    network: Network,
    node: int,
    a: Tensor,
    drawn: Mapping[int, Lines],
    pulls: Mapping[int, Tensor] | None = None,
    roofs: Mapping[int, Roofed] | None = None,
) -> Range:
    """<slope, x> + constant below <a, value of ``node``> + sum_n <pulls_n, value of node n>.

    a is (R, *shape), and so are pulls of other nodes; the result is (R, *F) and (R,). ``roofs``:
    planes in place of upper lines.
    """
    waiting = dict(pulls or {})
    waiting[node] = waiting[node] + a if node in waiting else a
    total = a.new_zeros(len(a))
    for n in range(len(network.nodes) - 1, 0, -1):
        coefficient = waiting.pop(n, None)
        if coefficient is None:
            continue
        down = None
        if n in (roofs or {}) and n in drawn:
            down, base, lean, more = _leaning(network, (roofs or {})[n], coefficient)
            waiting[base] = waiting[base] + lean if base in waiting else lean
            total = total + more
        parts, constant = _pass(network.nodes, n, coefficient, drawn, down)
        total = total + constant
        for i, part in zip(network.nodes[n].inputs, parts, strict=True):
            if part is not None:
                waiting[i] = waiting[i] + part if i in waiting else part
    slope = waiting.get(0)
    return a.new_zeros(len(a), *network.nodes[0].shape) if slope is None else slope, total


def _leaning(network: Network, roof: Roofed, a: Tensor) -> tuple[Tensor, int, Tensor, Tensor]:
    """Coefficients < 0 that planes leave, the planes' base, and their slope there and constant."""
    left, parts, constant = roof.take(a.clamp(max=0))
    shape = network.nodes[roof.cover.base].shape
    place = roof.cover.place.flatten().expand(len(a), -1)
    flat = a.new_zeros(len(a), shape.numel()).scatter_add(1, place, parts.flatten(1))
    return left, roof.cover.base, flat.reshape(-1, *shape), constant


def _pass(
    nodes: tuple[Node, ...],
    n: int,
    a: Tensor,
    drawn: Mapping[int, Lines],
    left: Tensor | None = None,
) -> tuple[tuple[Tensor | None, ...], Tensor]:
    """Coefficients of a node's inputs and the constant, from those of the node.

    left: those < 0 that are left to a function's upper line, None for all.
    """
    op: Any = nodes[n].op
    if n in drawn:  # a coefficient >= 0 needs the line below, one < 0 the line above
        up, down, line = a.clamp(min=0), a.clamp(max=0) if left is None else left, drawn[n]
        constant = (up * line.low_offset + down * line.high_offset).flatten(1).sum(1)
        return (up * line.low_slope + down * line.high_slope,), constant
    if isinstance(op, Larger):  # y + relu(x - y)
        return (None, a, a), a.new_zeros(len(a))
    shapes = [nodes[i].shape for i in nodes[n].inputs]
    value = op.forward(*(torch.zeros(1, *s, dtype=a.dtype) for s in shapes))
    constant = (a.flatten(1) @ value.flatten()) if bool(value.any()) else a.new_zeros(len(a))
    if isinstance(op, Convolution):
        return (_convolved(op, a, shapes[0]),), constant
    with torch.enable_grad():
        zeros = [torch.zeros(len(a), *s, dtype=a.dtype, requires_grad=True) for s in shapes]
        parts = torch.autograd.grad(op.forward(*zeros), zeros, a, create_graph=a.requires_grad)
    return parts, constant


def _convolved(op: Convolution, a: Tensor, shape: torch.Size) -> Tensor:
    """The vector-Jacobian product as autograd calls it, without the forward pass before it."""
    size = len(op.stride)
    x, how = a.new_zeros(1).expand(len(a), *shape), (op.stride, op.padding, op.dilation, False)
    only = [True, False, False]
    found: Tensor = torch.ops.aten.convolution_backward(
        a, x, op.weight, None, *how, [0] * size, op.groups, only
    )[0]
    return found
