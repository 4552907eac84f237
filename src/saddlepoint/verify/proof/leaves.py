"""The leaves of a certificate's trees: which splits lead to each, and what bounds it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from saddlepoint.core.errors import BadData
from saddlepoint.verify.certificate import Certificate
from saddlepoint.verify.network import Network
from saddlepoint.verify.proof.inputs import Inputs
from saddlepoint.verify.proof.lines import Lines
from saddlepoint.verify.proof.roofs import Cover, roofed
from saddlepoint.verify.proof.slots import Range, Slot, redrawn, sources
from saddlepoint.verify.proof.sweep import plane

__all__ = ["Cut", "Ground", "Path", "paths", "stored_of"]


class Cut(NamedTuple):
    """Element ``element`` of ``node`` is at most ``at`` (sign 1), or at least ``at`` (sign -1)."""

    node: int
    element: int
    at: float
    sign: int


class Path(NamedTuple):
    """The group of rows that a leaf belongs to, and its cuts from the root down."""

    group: int
    cuts: tuple[Cut, ...]


def paths(c: Certificate) -> list[Path]:
    """Return the path of every leaf; the trees cover everything, since a split has two children.

    Raises ``BadData`` for a tree that is none: a part missing, used twice, or by no root.
    """
    found: dict[int, Path] = {}
    met: set[int] = set()
    splits, at = c.split.tolist(), c.at.tolist()
    todo: list[tuple[int, int, tuple[Cut, ...]]] = [
        (ref, group, ()) for group, ref in enumerate(c.root.tolist())
    ]
    while todo:
        ref, group, cuts = todo.pop()
        if ref in met or not -len(c.leaf) <= ref < len(splits):
            raise BadData(f"a tree with {'no' if ref not in met else 'two places for'} part {ref}")
        met.add(ref)
        if ref < 0:
            found[~ref] = Path(group, cuts)
            continue
        node, index, below, above = splits[ref]
        todo += [
            (child, group, (*cuts, Cut(node, index, at[ref], sign)))
            for child, sign in ((below, 1), (above, -1))
        ]
    if len(met) != len(splits) + len(c.leaf):
        raise BadData("a tree with parts that no root leads to")
    return [found[k] for k in range(len(found))]


def stored_of(network: Network, stored: Tensor) -> dict[int, Tensor]:
    """Cut the mask of stored elements into one for each node that a function reads."""
    sizes = {n: network.nodes[n].shape.numel() for n in sources(network)}
    if len(stored) != sum(sizes.values()):
        raise BadData(f"intervals for {len(stored)} elements instead of {sum(sizes.values())}")
    begin, found = 0, {}
    for n, size in sizes.items():
        found[n], begin = stored[begin : begin + size], begin + size
    return found


@dataclass(frozen=True, eq=False)
class Ground:
    """What all leaves stand on: inputs, intervals of all nodes, lines without cuts, slots of t.

    covers: what planes may cover.
    """

    network: Network
    where: Inputs
    found: Sequence[Range]
    drawn: Mapping[int, Lines]
    slots: Sequence[Slot]
    covers: Sequence[Cover] = ()

    def bound(
        self,
        some: Sequence[Path],
        a: Tensor,
        beta: Tensor,
        t: Tensor,
        s: Tensor | None = None,
    ) -> Tensor:
        """(L,) lower bounds of <a_k, output> over the inputs that obey the cuts of leaf k.

        a: (L, *out); beta: one multiplier for each cut, leaf after leaf; t: (L, T); s: (L, W) of
        planes. A cut sign z <= sign c adds beta sign (z - c), which is never above 0 where it
        holds.
        """
        flat = [(k, *cut) for k, path in enumerate(some) for cut in path.cuts]
        ends, pulls, constant = {}, {}, a.new_zeros(len(a))
        for node in sorted({cut[1] for cut in flat}):
            mine = [i for i, cut in enumerate(flat) if cut[1] == node]
            k, _, index, at, sign = (
                torch.tensor(v) for v in zip(*(flat[i] for i in mine), strict=True)
            )
            ends[node] = _cut(self.found[node], len(a), k, index, at.double(), sign)
            pull = beta[mine] * sign
            shape = self.network.nodes[node].shape
            zero = a.new_zeros(len(a), shape.numel())
            pulls[node] = zero.index_put((k, index), pull, accumulate=True).reshape(-1, *shape)
            constant = constant.index_add(0, k, pull * at.double())
        drawn = {**self.drawn, **redrawn(self.network, self.found, self.slots, t, ends)}
        over = {}
        if s is not None:
            over = roofed(self.network, self.found, self.covers, s, ends)
        slope, rest = plane(self.network, self.network.output, a, drawn, pulls, over)
        return self.where.least(slope) + rest - constant


def _cut(x: Range, count: int, k: Tensor, index: Tensor, at: Tensor, sign: Tensor) -> Range:
    """Intervals of every leaf, (L, *shape), with its cuts in them."""
    low, high = (end.flatten(1).repeat(count, 1) for end in x)
    for i in range(len(k)):
        end, pick = (high, torch.minimum) if sign[i] > 0 else (low, torch.maximum)
        end[k[i], index[i]] = pick(end[k[i], index[i]], at[i])
    shape = x[0].shape[1:]
    return low.reshape(-1, *shape), high.reshape(-1, *shape)
