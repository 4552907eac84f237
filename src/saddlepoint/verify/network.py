"""A model as a list of operators, in the order of computation."""

import dataclasses
import functools
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from saddlepoint.verify.interval import Interval
from saddlepoint.verify.operators.affine import Scale
from saddlepoint.verify.operators.operator import Operator, relaxes

__all__ = ["Network", "Node"]


@dataclass(frozen=True, eq=False)
class Node:
    """``op`` applied to the values of the nodes ``inputs``; ``shape`` is that of one sample."""

    op: Operator | None  # None: the input of the network
    inputs: tuple[int, ...]
    shape: torch.Size


@dataclass(frozen=True, eq=False)
class Network:
    """Nodes in topological order; the first is the input, the last the output."""

    nodes: tuple[Node, ...]
    left_out: str = ""  # a last function that keeps the order of the scores: "softmax" or none

    @property
    def output(self) -> int:
        """Index of the last node."""
        return len(self.nodes) - 1

    @property
    def relaxed(self) -> list[int]:
        """Indices of the nodes that are not linear, in order."""
        return [i for i, node in enumerate(self.nodes) if relaxes(node.op)]

    @functools.cached_property
    def prefix(self) -> frozenset[int]:
        """The input, and the nodes that apply functions of one element to it and nothing else.

        Over a box their values are a box as well, exactly: nothing is gained by splitting them.
        """
        found = {0}
        for n, node in enumerate(self.nodes[1:], 1):
            alone = relaxes(node.op) or isinstance(node.op, Scale)
            if alone and node.inputs[0] in found:
                found.add(n)
        return frozenset(found)

    @functools.cached_property
    def taps(self) -> dict[int, tuple[Tensor, Tensor]]:
        """What ``roof.taps`` found, by node."""
        return {}

    @functools.cached_property
    def readers(self) -> dict[int, list[int]]:
        """Of every node that functions of one element read, these functions, in order."""
        found: dict[int, list[int]] = {}
        for n in self.relaxed:
            found.setdefault(self.nodes[n].inputs[0], []).append(n)
        return found

    @functools.cached_property
    def below(self) -> tuple[frozenset[int], ...]:
        """Of every node all that it depends on, itself included."""
        found: list[frozenset[int]] = []
        for n, node in enumerate(self.nodes):
            found.append(frozenset({n}).union(*(found[i] for i in node.inputs)))
        return tuple(found)

    def bent(self, n: int, x: Interval) -> Tensor:
        """(B, *shape) bool: where some function that reads node n is bent over the interval x."""
        masks = [op.bent(x) for op in (self.nodes[r].op for r in self.readers[n]) if relaxes(op)]
        return functools.reduce(torch.logical_or, masks)

    def values(self, x: Tensor) -> list[Tensor]:
        """Value of every node for x (B, *shape)."""
        values = [x]
        for node in self.nodes[1:]:
            if node.op is None:
                raise AssertionError("only the first node is an input")
            values.append(node.op.forward(*(values[i] for i in node.inputs)))
        return values

    def forward(self, x: Tensor) -> Tensor:
        """(B, *shape) -> (B, K), what the model answers."""
        values: list[Tensor | None] = [x]
        last = self.last_use()
        for n, node in enumerate(self.nodes[1:], 1):
            if node.op is None:
                raise AssertionError("only the first node is an input")
            values.append(node.op.forward(*(values[i] for i in node.inputs)))
            for i in node.inputs:
                if last[i] == n:
                    values[i] = None
        out = values[-1]
        if out is None:
            raise AssertionError("the output is used by no node")
        return out

    def last_use(self) -> dict[int, int]:
        """For every node the last one that reads it."""
        return {i: n for n, node in enumerate(self.nodes) for i in node.inputs}

    def to(self, dtype: torch.dtype) -> "Network":
        """Return a copy with detached constants of another type, for checks in float64."""
        nodes = tuple(replace(node, op=_cast(node.op, dtype)) for node in self.nodes)
        return replace(self, nodes=nodes)


def _cast(op: Any, dtype: torch.dtype) -> Any:  # noqa: ANN401 - any operator
    if op is None or not dataclasses.fields(op):
        return op
    found = {f.name: getattr(op, f.name) for f in dataclasses.fields(op)}
    cast = {
        name: value.detach().to(dtype)
        for name, value in found.items()
        if isinstance(value, Tensor) and value.is_floating_point()
    }
    return replace(op, **cast) if cast else op
