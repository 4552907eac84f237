"""Planes above ReLUs that lean over a box of inputs (2006.14076), derived anew for the checker.

For any s in [0, 1]  relu(<w, x> + b) <= <w s, x> + d  on the box where d is the larger of
max -<w s, x>  and  b + max <w (1 - s), x>: the plane is above both pieces of the function.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from saddlepoint.verify.network import Network
from saddlepoint.verify.operators.affine import Scale
from saddlepoint.verify.operators.linear import Convolution, Matrix
from saddlepoint.verify.operators.piecewise import Bend
from saddlepoint.verify.proof.lines import FREE, bent
from saddlepoint.verify.proof.slots import Range

__all__ = ["Cover", "Roofed", "covers", "roofed", "width"]


class Cover(NamedTuple):
    """Elements (N,) of the ReLU ``node`` that planes may cover.

    base: the node whose box they lean over; place, weight, low, high: (N, K) the inputs of an
    element with a weight that is not 0, in order, these weights, and the ends of these inputs;
    bias: (N,).
    """

    node: int
    base: int
    elements: Tensor
    place: Tensor
    weight: Tensor
    low: Tensor
    high: Tensor
    bias: Tensor


@dataclass(frozen=True, eq=False)
class Roofed:
    """A cover with s (R, N, K), used where ``live`` (R or 1, N)."""

    cover: Cover
    s: Tensor
    live: Tensor

    def take(self, down: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of coefficients <= 0, (R, *shape): what is left, and the planes' slope and constant.

        The slope is (R, size of the base).
        """
        c, flat = self.cover, down.flatten(1)
        taken = flat[:, c.elements] * self.live
        left = flat - torch.zeros_like(flat).index_add(1, c.elements, taken)
        lean, rest = c.weight * self.s, c.weight * (1 - self.s)
        over = -(lean.clamp(min=0) * c.low + lean.clamp(max=0) * c.high).sum(2)
        top = c.bias + (rest.clamp(min=0) * c.high + rest.clamp(max=0) * c.low).sum(2)
        return (
            left.view_as(down),
            taken[..., None] * lean,
            (taken * torch.maximum(over, top)).sum(1),
        )


def _alone(network: Network, n: int) -> bool:
    """Whether each element of a node depends on one input only."""
    node = network.nodes[n]
    if node.op is None:
        return True
    return (isinstance(node.op, Scale) or type(node.op) in FREE) and _alone(network, node.inputs[0])


def covers(
    network: Network,
    found: Sequence[Range],
    stored: Mapping[int, Tensor],
    before: int | None = None,
) -> list[Cover]:
    """What planes may cover: stored, bent elements of ReLUs of one layer over the inputs."""
    made = []
    for n, node in enumerate(network.nodes[:before]):
        op: Any = node.op
        if not isinstance(op, Bend) or (op.left, op.right) != (0.0, 1.0):
            continue
        layer = network.nodes[node.inputs[0]]
        dense = isinstance(layer.op, Matrix) and len(layer.shape) == 1
        if (dense or isinstance(layer.op, Convolution)) and _alone(network, layer.inputs[0]):
            here = bent(op, *found[node.inputs[0]]).flatten() & stored[node.inputs[0]]
            made.append(_cover(network, n, here.nonzero()[:, 0], found))
    return made


def _cover(network: Network, n: int, elements: Tensor, found: Sequence[Range]) -> Cover:
    source = network.nodes[n].inputs[0]
    layer, op = network.nodes[source], _op(network, source)
    base = layer.inputs[0]
    units = torch.zeros(len(elements), layer.shape.numel(), dtype=torch.float64)
    units[torch.arange(len(elements)), elements] = 1.0
    with torch.enable_grad():
        zero = torch.zeros(len(elements), *network.nodes[base].shape, dtype=torch.float64)
        out = op.forward(zero.requires_grad_())
        (dense,) = torch.autograd.grad(out, zero, units.view_as(out))
    dense, bias = dense.flatten(1), out.detach().flatten(1)
    there = dense != 0
    most = int(there.sum(1).max()) if len(elements) else 0
    place = there.to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, :most]
    low, high = (end.flatten()[place] for end in found[base])
    own = bias[torch.arange(len(elements)), elements]
    return Cover(n, base, elements, place, dense.gather(1, place), low, high, own)


def _op(network: Network, n: int) -> Any:  # noqa: ANN401
    return network.nodes[n].op


def width(listed: Sequence[Cover]) -> int:
    """How many numbers s a row holds for these."""
    return sum(cover.place.numel() for cover in listed)


def roofed(
    network: Network,
    found: Sequence[Range],
    listed: Sequence[Cover],
    s: Tensor,
    ends: Mapping[int, Range] | None = None,
) -> dict[int, Roofed]:
    """Planes for s (R, W), where a row's intervals (``ends`` by node, or ``found``) are bent."""
    made, begin = {}, 0
    for cover in listed:
        part = s[:, begin : begin + cover.place.numel()]
        begin += cover.place.numel()
        source = network.nodes[cover.node].inputs[0]
        low, high = (ends or {}).get(source, found[source])
        live = bent(network.nodes[cover.node].op, low, high).flatten(1)[:, cover.elements]
        made[cover.node] = Roofed(cover, part.reshape(len(s), *cover.place.shape), live)
    return made
