"""How a lower bound changes with what is free in it, by one pass forward.

A bound is the least of  <a, network with lines in place of its functions>  over the region. At its
minimiser x* the derivative by anything free is that of the value there, with x* and the choice of
lines held (the envelope theorem), so the values that the lines give to the nodes at x* are all it
takes: nothing of the pass backward has to be kept but which line every element used.
"""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor

from saddlepoint.verify.network import Network
from saddlepoint.verify.operators.operator import fold, relaxes, unfold
from saddlepoint.verify.planes import Frames, Used

if TYPE_CHECKING:
    from saddlepoint.verify.alpha import Multiplier

__all__ = ["Slope", "by_multiplier", "by_s", "by_t", "values_of"]


class Slope(NamedTuple):
    """Values (B, R, *shape) of the nodes at the minimiser, as the lines have them."""

    values: Mapping[int, Tensor]
    used: Mapping[int, Used]
    frames: Frames


def values_of(
    network: Network, wanted: Collection[int], x: Tensor, used: Mapping[int, Used]
) -> dict[int, Tensor]:
    """(B, R, *shape) values of the nodes ``wanted``, and of all below them, at x (B, R, *F)."""
    needed = frozenset().union(*(network.below[n] for n in wanted))
    values: dict[int, Tensor] = {0: x}
    for n in sorted(needed - {0}):
        node = network.nodes[n]
        sources = [values[i] for i in node.inputs]
        if n in used:
            values[n] = used[n].at(sources[0])
            lean = used[n].lean
            if lean is not None:
                values[n] = lean.put(values[n], values[lean.cover.roof.base])
            continue
        if node.op is None or relaxes(node.op):
            # No row depends on it, so any value will do; its inputs are not followed further.
            values[n] = sources[0].new_zeros(*sources[0].shape[:2], *node.shape)
            continue
        forth = getattr(node.op, "linear", node.op.forward)
        values[n] = unfold(forth(*(fold(v) for v in sources)), x)
    return values


def by_t(network: Network, n: int, side: int, slope: Slope) -> Tensor:
    """(B, R, *shape) derivative of the bounds by t of one line of the relaxed node n."""
    op, source = network.nodes[n].op, network.nodes[n].inputs[0]
    if not relaxes(op):
        raise AssertionError("t belongs to relaxed nodes")
    a = slope.used[n].coefficient
    weight = a.clamp(min=0) if side == 0 else a.clamp(max=0)
    turned = op.tilt(slope.frames[n], slope.values[source])[side]
    if turned is None:
        raise AssertionError("this line does not turn")
    return weight * turned


def by_s(n: int, slope: Slope) -> Tensor:
    """(B, R, N, K) derivative of the bounds by s of the planes over the relaxed node n."""
    lean = slope.used[n].lean
    if lean is None:
        raise AssertionError("s belongs to nodes with planes")
    return lean.cover.rise(lean.down, slope.values[lean.cover.roof.base])


def by_multiplier(m: "Multiplier", z: Tensor) -> Tensor:
    """(B, R, *shape) derivative by the multipliers of a node whose value is z."""
    return m.sign[:, None] * (z if m.at is None else z - m.at[:, None])
