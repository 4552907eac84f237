"""Interval bound propagation (1810.12715): one pass forward, an interval for every node."""

from collections.abc import Mapping

import torch
from torch import Tensor

from saddlepoint.verify.interval import Interval
from saddlepoint.verify.network import Network
from saddlepoint.verify.operators.operator import Linear
from saddlepoint.verify.spec import Spec

__all__ = ["ibp", "ibp_margin"]


def ibp(
    network: Network, box: Interval, known: Mapping[int, Interval] | None = None
) -> list[Interval]:
    """Interval of every node for inputs in ``box`` (B, *F), met with what is ``known`` already.

    Differentiable with respect to the network's parameters and the box.
    """
    known = known or {}
    found = [box]
    for n, node in enumerate(network.nodes[1:], 1):
        if node.op is None:
            raise AssertionError("only the first node is an input")
        interval = node.op.ibp(*(found[i] for i in node.inputs))
        found.append(interval.meet(known[n]) if n in known else interval)
    return found


def ibp_margin(network: Network, box: Interval, spec: Spec) -> Tensor:
    """(B, R) upper bounds of the rows of ``spec``; its matrix is merged into the last layer.

    >>> from saddlepoint.core.goal import Untargeted
    >>> from saddlepoint.verify.spec import margins
    >>> from saddlepoint.verify.tracing import trace
    >>> net = trace(torch.nn.Linear(2, 2, bias=False).requires_grad_(False), (2,))
    >>> box = Interval(torch.zeros(1, 2), torch.ones(1, 2))
    >>> ibp_margin(net, box, margins(Untargeted(torch.tensor([0])), 2, torch.zeros(1))).shape
    torch.Size([1, 1])
    """
    return upper(network, ibp(network, box), spec)


def upper(network: Network, intervals: list[Interval], spec: Spec) -> Tensor:
    """(B, R) upper bounds of the rows of ``spec`` from the intervals of all nodes."""
    last = network.nodes[-1]
    if not isinstance(last.op, Linear) or len(last.inputs) != 1:
        low, high = intervals[-1]
        up, down = spec.weight.clamp(min=0), spec.weight.clamp(max=0)
        value = torch.einsum("brk,bk->br", up, high) + torch.einsum("brk,bk->br", down, low)
        return value + spec.offset
    shape = network.nodes[last.inputs[0]].shape
    (a,) = last.op.transpose(spec.weight, (shape,))
    if a is None:
        raise AssertionError("an operator of one input reads it")
    constant = last.op.constant(spec.weight)
    x = intervals[last.inputs[0]]
    middle, radius = (x.high + x.low) / 2, (x.high - x.low) / 2
    value = torch.einsum("brk,bk->br", a.flatten(2), middle.flatten(1))
    value = value + torch.einsum("brk,bk->br", a.abs().flatten(2), radius.flatten(1))
    return value + spec.offset if constant is None else value + constant + spec.offset
