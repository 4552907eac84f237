"""What the checker takes an operator's word for, looked into once per network."""

from typing import Any

import torch
from torch import Tensor

from saddlepoint.core.errors import Unsupported
from saddlepoint.core.shapes import pieces
from saddlepoint.verify.network import Network
from saddlepoint.verify.operators.affine import Subtract
from saddlepoint.verify.operators.maximum import Larger
from saddlepoint.verify.operators.piecewise import Bend
from saddlepoint.verify.operators.rearrange import Sift
from saddlepoint.verify.operators.smooth import Smooth

__all__ = ["inspect"]

_UNITS = 4096  # elements of a Sift's input that are tried one by one; drawn where there are more
_ROOM = 1 << 22


def inspect(network: Network) -> None:
    """Raise ``Unsupported`` where an operator is not what it says to be.

    A ``Sift`` must be linear without weights below zero, a ``Larger`` be y + relu(x - y), and
    the second derivative of a ``Smooth`` within its bound.
    """
    for node in network.nodes:
        op: Any = node.op
        if isinstance(op, Sift):
            _sift(op, network.nodes[node.inputs[0]].shape)
        elif isinstance(op, Larger):
            _larger(network, node.inputs)
        elif isinstance(op, Smooth):
            _smooth(op)


def _sift(op: Sift, shape: torch.Size) -> None:
    count = shape.numel()
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(count, generator=generator)[:_UNITS]
    for some in pieces(order, max(1, _ROOM // max(1, count))):
        units = torch.zeros(len(some), count, dtype=torch.float64)
        units[torch.arange(len(some)), some] = 1.0
        if bool((op.forward(units.reshape(-1, *shape)) < 0).any()):
            raise Unsupported("an operator with weights below zero where none are claimed")
    x, y = torch.rand(2, 1, *shape, generator=generator, dtype=torch.float64)
    gap = op.forward(2 * x - y) - (2 * op.forward(x) - op.forward(y))
    if not _small(gap, op.forward(x)):
        raise Unsupported("an operator that is not linear where that is claimed")


def _larger(network: Network, inputs: tuple[int, ...]) -> None:
    x, y, r = inputs
    rest: Any = network.nodes[r]
    minus: Any = network.nodes[rest.inputs[0]] if rest.inputs else rest
    relu = isinstance(rest.op, Bend) and (rest.op.left, rest.op.right) == (0.0, 1.0)
    if not (relu and isinstance(minus.op, Subtract) and minus.inputs == (x, y)):
        raise Unsupported("a maximum that is not y + relu(x - y)")


def _smooth(op: Smooth) -> None:
    """Compare f with its tangents, which miss it by c h^2 / 2 at most, h further on."""
    with torch.enable_grad():
        z = torch.linspace(-40, 40, 80001, dtype=torch.float64).requires_grad_()
        f = op.forward(z)
        (slope,) = torch.autograd.grad(f.sum(), z)
    z, f = z.detach(), f.detach()
    step = z[1:] - z[:-1]
    missed = torch.maximum(
        (f[1:] - f[:-1] - slope[:-1] * step).abs(), (f[:-1] - f[1:] + slope[1:] * step).abs()
    )
    if not bool((missed <= op.curvature * step.square() / 2 + 1e-12).all()):
        raise Unsupported(f"{op.name} bends more than the {op.curvature:g} that is claimed")


def _small(gap: Tensor, like: Tensor) -> bool:
    return float(gap.abs().max()) <= 1e-9 * max(1.0, float(like.abs().max()))
