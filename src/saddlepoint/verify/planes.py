"""Linear bounds propagated backward through a network (CROWN, 1811.00866)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, cast

import torch
from torch import Tensor

from saddlepoint.verify.interval import Bounds
from saddlepoint.verify.network import Network
from saddlepoint.verify.operators.operator import Linear, Lines, relaxes
from saddlepoint.verify.region import Region
from saddlepoint.verify.roof import Lean, Roofs

__all__ = [
    "Choice",
    "Frames",
    "Plane",
    "Pull",
    "Used",
    "backward",
    "frames",
    "least",
    "lower_rows",
]


class Plane(NamedTuple):
    """<slope, x> + constant, below the rows that were asked for: (B, R, *F) and (B, R)."""

    slope: Tensor
    constant: Tensor


class Pull(NamedTuple):
    """What multipliers of split constraints add at a node: (B, 1, *shape) and (B, 1)."""

    slope: Tensor
    constant: Tensor


class Used(NamedTuple):
    """The line of each element that a bound is made with, and the coefficient that picked it.

    coefficient: (B, R, *shape), of the function's value; at least 0 where the lower line is used.
    lean: planes that take the place of some upper lines.
    """

    coefficient: Tensor
    slope: Tensor
    lines: Lines
    lean: Lean | None = None

    def at(self, z: Tensor) -> Tensor:
        """(B, R, *shape) value of the lines at z."""
        low = self.lines.low_offset
        up = self.coefficient >= 0
        offset = torch.where(up, z.new_zeros(()) if low is None else low, self.lines.high_offset)
        return torch.addcmul(offset, self.slope, z)


Frames = dict[int, tuple[Tensor, ...]]


@dataclass
class Choice:
    """What is free in a bound: any t in [0, 1] and any multiplier >= 0 are sound.

    t: by the index of a relaxed node, for its lower and upper line, (B, 1 or R, *shape) each;
    pull: by the index of a node. Nothing chosen is CROWN's own rule. frames: what the lines of a
    node have in common, where it was worked out before. roofs: planes above some functions, in
    place of their upper lines.
    """

    t: Mapping[int, tuple[Tensor | None, Tensor | None]] = field(default_factory=dict)
    pull: Mapping[int, Pull] = field(default_factory=dict)
    frames: Frames = field(default_factory=dict)
    roofs: Roofs = field(default_factory=dict)


def frames(network: Network, bounds: Bounds, before: int) -> Frames:
    """Frames of the relaxed nodes before a node: bounds that stay need them worked out once."""
    found: Frames = {}
    for n in network.relaxed:
        op = network.nodes[n].op
        if n < before and relaxes(op):
            found[n] = op.frame(bounds[network.nodes[n].inputs[0]])
    return found


def backward(
    network: Network,
    node: int,
    a: Tensor,
    bounds: Bounds,
    choice: Choice | None = None,
    seen: dict[int, Used] | None = None,
) -> Plane:
    """Return a plane below <a, value of ``node``>, a function of the input: a is (B, R, *shape).

    ``bounds`` must hold the interval of every node that a relaxed node below ``node`` reads. The
    lines that are used are written to ``seen``, where branching and ascent read them.
    """
    choice = choice or Choice()
    waiting: dict[int, Tensor] = {node: a}
    total = a.new_zeros(a.shape[:2])
    for n in range(node, 0, -1):
        coefficient = waiting.pop(n, None)
        if n in choice.pull:
            slope, constant = choice.pull[n]
            coefficient = slope if coefficient is None else coefficient + slope
            total = total + constant
        if coefficient is None:
            continue
        parts, constants, sources = _through(network, n, coefficient, bounds, choice, seen)
        total = total if constants is None else total + constants
        for i, part in zip(sources, parts, strict=True):
            if part is not None:
                waiting[i] = waiting[i] + part if i in waiting else part
    slope = waiting.get(0, a.new_zeros(*a.shape[:2], *network.nodes[0].shape))
    return Plane(slope, total)


def _through(
    network: Network,
    n: int,
    a: Tensor,
    bounds: Bounds,
    choice: Choice,
    seen: dict[int, Used] | None,
) -> tuple[tuple[Tensor | None, ...], Tensor | None, tuple[int, ...]]:
    """Coefficients of other nodes in place of node n's, what it adds, and which nodes these are."""
    op, inputs = network.nodes[n].op, network.nodes[n].inputs
    if relaxes(op):
        frame = choice.frames.get(n)
        frame = op.frame(bounds[inputs[0]]) if frame is None else frame
        t = choice.t.get(n, (None, None))
        if n not in choice.t and n in network.prefix:
            # Flat lines: the least over a box is at a corner, where they are exact.
            t = a.new_zeros(()), a.new_zeros(())
        lean = None
        if n in choice.roofs:
            bent = frame[2]  # of a ReLU
            lean = Lean.of(choice.roofs[n], a, bent)
        rest = a if lean is None else torch.where(bent, a.clamp(min=0), a)
        used, constant = relax(rest, op.turn(frame, *t))
        if seen is not None:
            seen[n] = used if lean is None else used._replace(coefficient=a, lean=lean)
        parts: tuple[Tensor | None, ...] = (rest * used.slope,)
        if lean is not None:
            base = lean.cover.roof.base
            constant = constant + lean.cover.constant(lean.down)
            parts = (*parts, lean.cover.slope(lean.down, network.nodes[base].shape))
            inputs = (*inputs, base)
        return parts, constant, inputs
    if op is None or relaxes(op):
        raise AssertionError("only the first node is an input")
    linear = cast(Linear, op)
    parts = linear.transpose(a, tuple(network.nodes[i].shape for i in inputs))
    return parts, linear.constant(a), inputs


def relax(a: Tensor, lines: Lines) -> tuple[Used, Tensor]:
    """Lines that take the place of the function, and the constant that they add.

    A coefficient >= 0 needs the line below, one < 0 the line above.
    """
    used = Used(a, torch.where(a >= 0, lines.low_slope, lines.high_slope), lines)
    constant = weigh(a.clamp(max=0), lines.high_offset)
    if lines.low_offset is not None:
        constant = constant + weigh(a.clamp(min=0), lines.low_offset)
    return used, constant


def weigh(a: Tensor, offset: Tensor) -> Tensor:
    """<a, offset> for every row: (B, R, *shape) and (B, 1 or R, *shape) -> (B, R)."""
    if offset.shape[1] == 1:
        return (a.flatten(2) @ offset.flatten(1)[..., None]).squeeze(-1)
    return (a * offset).flatten(2).sum(2)


def least(
    network: Network,
    region: Region,
    node: int,
    a: Tensor,
    bounds: Bounds,
    choice: Choice | None = None,
) -> Tensor:
    """(B, R) lower bounds of <a, value of ``node``> over the region."""
    plane = backward(network, node, a, bounds, choice)
    return region.least(plane.slope) + plane.constant


def lower_rows(network: Network, weight: Tensor) -> Tensor:
    """Rows whose lower bounds are minus the upper bounds of the rows ``weight`` (B, R, K)."""
    return -weight.reshape(*weight.shape[:2], *network.nodes[-1].shape)
