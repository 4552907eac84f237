"""Linear bounds propagated backward through a network (CROWN, 1811.00866)."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, cast

import torch
from torch import Tensor

from saddlepoint.core.shapes import pieces
from saddlepoint.verify.crop import cropped
from saddlepoint.verify.interval import Bounds, Interval
from saddlepoint.verify.network import Network
from saddlepoint.verify.operators.affine import Scale
from saddlepoint.verify.operators.operator import Linear, Lines, relaxes
from saddlepoint.verify.operators.rearrange import Reshape
from saddlepoint.verify.region import Box, Region

__all__ = [
    "ROOM",
    "Bounds",
    "Choice",
    "Frames",
    "Plane",
    "Pull",
    "backward",
    "columns",
    "crown",
    "exact",
    "frames",
    "least",
    "lower_rows",
    "tighten",
    "unit_rows",
]

ROOM = 1 << 24  # numbers that the coefficients of one node may have at a time


class Plane(NamedTuple):
    """<slope, x> + constant, below the rows that were asked for: (B, R, *F) and (B, R)."""

    slope: Tensor
    constant: Tensor


class Pull(NamedTuple):
    """What multipliers of split constraints add at a node: (B, 1, *shape) and (B, 1)."""

    slope: Tensor
    constant: Tensor


Frames = dict[int, tuple[Tensor, ...]]


@dataclass
class Choice:
    """What is free in a bound: any t in [0, 1] and any multiplier >= 0 are sound.

    t: by the index of a relaxed node, for its lower and upper line, (B, 1 or R, *shape) each;
    pull: by the index of a node. Nothing chosen is CROWN's own rule. frames: what the lines of a
    node have in common, where it was worked out before.
    """

    t: Mapping[int, tuple[Tensor | None, Tensor | None]] = field(default_factory=dict)
    pull: Mapping[int, Pull] = field(default_factory=dict)
    frames: Frames = field(default_factory=dict)


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
    seen: dict[int, Tensor] | None = None,
) -> Plane:
    """Return a plane below <a, value of ``node``>, a function of the input: a is (B, R, *shape).

    ``bounds`` must hold the interval of every node that a relaxed node below ``node`` reads. The
    coefficients that arrive at relaxed nodes are written to ``seen``, where branching reads them.
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
        if seen is not None and relaxes(network.nodes[n].op):
            seen[n] = coefficient
        parts, constants = _through(network, n, coefficient, bounds, choice)
        total = total if constants is None else total + constants
        for i, part in zip(network.nodes[n].inputs, parts, strict=True):
            if part is not None:
                waiting[i] = waiting[i] + part if i in waiting else part
    slope = waiting.get(0, a.new_zeros(*a.shape[:2], *network.nodes[0].shape))
    return Plane(slope, total)


def _through(
    network: Network, n: int, a: Tensor, bounds: Bounds, choice: Choice
) -> tuple[tuple[Tensor | None, ...], Tensor | None]:
    """Coefficients of the inputs of node n, and what it adds."""
    op, inputs = network.nodes[n].op, network.nodes[n].inputs
    if relaxes(op):
        frame = choice.frames.get(n)
        frame = op.frame(bounds[inputs[0]]) if frame is None else frame
        part, constant = relax(a, op.turn(frame, *choice.t.get(n, (None, None))))
        return (part,), constant
    if op is None or relaxes(op):
        raise AssertionError("only the first node is an input")
    linear = cast(Linear, op)
    return linear.transpose(a, tuple(network.nodes[i].shape for i in inputs)), linear.constant(a)


def relax(a: Tensor, lines: Lines) -> tuple[Tensor, Tensor]:
    """Coefficients and constant that put lines in the place of the function.

    A coefficient >= 0 needs the line below, one < 0 the line above.
    """
    up, down = a.clamp(min=0), a.clamp(max=0)
    slope = up * lines.low_slope + down * lines.high_slope
    constant = weigh(down, lines.high_offset)
    if lines.low_offset is not None:
        constant = constant + weigh(up, lines.low_offset)
    return slope, constant


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


def crown(network: Network, region: Region, until: int | None = None) -> Bounds:
    """Bounds of every node that a relaxed node reads, in the order of computation.

    Intervals come first; the elements that stay bent are bounded backward, both ways. Where
    intervals are exact (one layer of a box) nothing is gained backward and nothing is tried.
    """
    box = region.hull()
    found = [box]
    bounds: Bounds = {}
    readers = {network.nodes[n].inputs[0]: n for n in reversed(network.relaxed)}
    until = network.output if until is None else until
    for n in range(until + 1):
        node = network.nodes[n]
        if node.op is not None:
            found.append(node.op.ibp(*(found[i] for i in node.inputs)))
        if n in readers:
            interval = found[n]
            op = network.nodes[readers[n]].op
            if relaxes(op) and not exact(network, region, n):
                interval = _tighten(network, region, n, interval, op.bent(interval), bounds)
            found[n] = bounds[n] = interval
    return bounds


def exact(network: Network, region: Region, n: int) -> bool:
    """Whether intervals alone are exact at a node: a box, and one layer that mixes."""
    if not isinstance(region, Box):
        return n == 0
    mixing = 0
    while n:
        node = network.nodes[n]
        if len(node.inputs) != 1 or not isinstance(node.op, Linear):
            return False
        mixing += not isinstance(node.op, Scale | Reshape)
        n = node.inputs[0]
    return mixing <= 1


def _tighten(
    network: Network, region: Region, n: int, interval: Interval, bent: Tensor, bounds: Bounds
) -> Interval:
    """Bound the bent elements of node n backward, where it can be done in windows of the input."""

    def lower(network: Network, region: Region, node: int, a: Tensor, bounds: Bounds) -> Tensor:
        return least(network, region, node, a, bounds)

    return tighten(network, region, n, interval, bent, bounds, lower, ROOM)


Lower = Callable[[Network, Region, int, Tensor, Bounds], Tensor]


def tighten(
    network: Network,
    region: Region,
    n: int,
    interval: Interval,
    bent: Tensor,
    bounds: Bounds,
    lower: Lower,
    room: int,
) -> Interval:
    """Interval of node n with its bent elements bounded by ``lower`` from both sides.

    Early convolutions are bounded window by window, which gives the same at a fraction of the cost.
    ``room`` limits the numbers that the coefficients of one node have at a time.
    """
    crop = cropped(network, region, n)
    if crop is not None:
        x = Interval(*(crop.places(t) for t in interval))
        part = crop.network, crop.region(region.hull()), crop.network.output
        found = _by_rows(*part, x, crop.places(bent), crop.bounds(bounds), lower, room)
        return Interval(*(crop.whole(t, interval.low) for t in found))
    return _by_rows(network, region, n, interval, bent, bounds, lower, room)


def _by_rows(
    network: Network,
    region: Region,
    n: int,
    x: Interval,
    bent: Tensor,
    bounds: Bounds,
    lower: Lower,
    room: int,
) -> Interval:
    low, high = x.low.flatten(1).clone(), x.high.flatten(1).clone()
    widest = max(node.shape.numel() for node in network.nodes[: n + 1])
    for index, mask in columns(bent.flatten(1), max(1, room // (2 * widest * len(low)))):
        a = unit_rows(index, network.nodes[n].shape, low)
        below, above = lower(network, region, n, torch.cat([a, -a], 1), bounds).chunk(2, 1)
        # Where padding repeats an element both give the same value: the order does not matter.
        old_low, old_high = low.gather(1, index), high.gather(1, index)
        low.scatter_(1, index, torch.where(mask, torch.maximum(old_low, below), old_low))
        high.scatter_(1, index, torch.where(mask, torch.minimum(old_high, -above), old_high))
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


def lower_rows(network: Network, weight: Tensor) -> Tensor:
    """Rows whose lower bounds are minus the upper bounds of the rows ``weight`` (B, R, K)."""
    return -weight.reshape(*weight.shape[:2], *network.nodes[-1].shape)
