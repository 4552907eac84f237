"""Where a certificate's t belongs: functions, their free lines, and elements that are bent."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from torch import Tensor

from saddlepoint.verify.network import Network
from saddlepoint.verify.proof.lines import FREE, Lines, bent, lines

__all__ = ["Range", "Slot", "redrawn", "slots", "sources"]

Range = tuple[Tensor, Tensor]


class Slot(NamedTuple):
    """Elements of the function ``node`` whose t is stored, of line ``side``."""

    node: int
    side: int
    elements: Tensor


def sources(network: Network) -> dict[int, list[int]]:
    """Of every node that functions read: which nodes they are."""
    found: dict[int, list[int]] = {}
    for n, node in enumerate(network.nodes):
        if type(node.op) in FREE:
            found.setdefault(node.inputs[0], []).append(n)
    return dict(sorted(found.items()))


def slots(
    network: Network,
    found: Sequence[Range],
    stored: Mapping[int, Tensor],
    before: int | None = None,
) -> list[Slot]:
    """Whose t a certificate holds, function after function; of those ``before`` a node if given."""
    listed = []
    for n, node in enumerate(network.nodes[:before]):
        if type(node.op) in FREE:
            source = node.inputs[0]
            corners = bent(node.op, *found[source]).flatten() & stored[source]
            index = corners.nonzero()[:, 0]
            listed += [Slot(n, side, index) for side in (0, 1) if FREE[type(node.op)][side]]
    return listed


def redrawn(
    network: Network,
    found: Sequence[Range],
    listed: Sequence[Slot],
    t: Tensor,
    ends: Mapping[int, Range] | None = None,
) -> dict[int, Lines]:
    """Lines that t (R, T), or other intervals (``ends``, by node), change; one for each row."""
    given: dict[int, list[Tensor | None]] = {}
    ends = ends or {}
    begin = 0
    for node, side, elements in listed:
        part = t[:, begin : begin + len(elements)]
        begin += len(elements)
        shape = network.nodes[node].shape
        dense = t.new_zeros(len(t), shape.numel()).index_copy(1, elements, part)
        given.setdefault(node, [None, None])[side] = dense.reshape(-1, *shape)
    for source in ends:
        for n in sources(network).get(source, []):
            given.setdefault(n, [None, None])
    made = {}
    for n, pair in given.items():
        source = network.nodes[n].inputs[0]
        made[n] = lines(network.nodes[n].op, *ends.get(source, found[source]), *pair)
    return made
