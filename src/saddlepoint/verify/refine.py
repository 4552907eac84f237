"""Tighter intervals of the elements that stay bent, each with slopes of its own."""

import math
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from saddlepoint.verify.alpha import Ascent, initial
from saddlepoint.verify.crop import cropped
from saddlepoint.verify.crown import ROOM, Bounded, Lowered, Tighten, exact
from saddlepoint.verify.interval import Bounds
from saddlepoint.verify.network import Network
from saddlepoint.verify.operators.operator import relaxes
from saddlepoint.verify.planes import Choice, frames, least
from saddlepoint.verify.region import Box, Region
from saddlepoint.verify.roof import Cover, fits, roofed, roofs, slots

__all__ = ["Raised", "Refine"]

_ASCENT = Ascent(steps=24, lr=0.4)
_LEANING = Ascent(steps=36, lr=0.25, lr_roof=0.06)
_ROUNDING = 1e-6


@dataclass(eq=False)
class Raised:
    """The slopes that bounded K elements of a node of one sample, for who has to show it again.

    index: (K,) flat numbers. t: by relaxed node and side (2, K, N), 255ths, first from below and
    then from above, for the N elements ``columns`` of that node, which are those that were bent.
    rule: by relaxed node and side t of all its elements, as CROWN's own rule has it in the
    intervals before: with it no bound is worse than it was there. s: by relaxed node (2, K, N, M),
    255ths, of the planes above its N elements ``columns``, one number for each of M inputs.
    """

    index: Tensor
    t: dict[tuple[int, int], Tensor] = field(default_factory=dict)
    columns: dict[int, Tensor] = field(default_factory=dict)
    rule: dict[tuple[int, int], Tensor] = field(default_factory=dict)
    s: dict[int, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Refine:
    """Bound every bent element from both sides by ``ascent``, node after node.

    room: numbers that the slopes of one node may have at a time. lean: whether planes that lean
    (``roof``) may take the place of chords, found by ``leaning``.
    """

    ascent: Ascent = _ASCENT
    room: int = ROOM // 4
    lean: bool = True
    leaning: Ascent = _LEANING

    def within(self, passes: float) -> "Refine | None":
        """The same with as many steps as ``passes`` of CROWN allow, or None where that is none.

        A step costs three of them: forward, and backward through it.
        """
        if math.isinf(passes):
            return self
        steps = int(passes / 3)
        if steps < 1:
            return None
        few = [replace(a, steps=min(steps, a.steps)) for a in (self.ascent, self.leaning)]
        return replace(self, ascent=few[0], leaning=few[1])

    def __call__(
        self, network: Network, region: Region, bounds: Bounds
    ) -> tuple[Bounds, dict[int, Raised]]:
        """Tighter bounds of the nodes of one sample, and what gave them."""
        found: Bounds = {}
        raised: dict[int, Raised] = {}
        for n in sorted(bounds):
            found[n] = bounds[n]
            if not exact(network, region, n):
                bent = network.bent(n, bounds[n])
                earlier = {k: x for k, x in found.items() if k < n}
                seen: list[Bounded] = []
                lean = self._single(network, region, n, 2 * int(bent.sum()), earlier)
                lower = replace(self, lean=lean)._lower
                tighten = Tighten(lower, self.room, seen.append, single=lean)
                found[n] = tighten(network, region, n, bounds[n], bent, earlier)
                raised[n] = _joined([_whole(network, n, part, earlier) for part in seen])
                raised[n].rule = {
                    (k, side): t.flatten()
                    for k, pair in initial(network, {k: bounds[k] for k in earlier}, n).items()
                    for side, t in enumerate(pair)
                    if t is not None
                }
        return found, raised

    def leans(self, network: Network, region: Region) -> bool:
        """Whether there is a function that planes may cover."""
        return self.lean and isinstance(region, Box) and bool(roofed(network, network.output))

    def _single(self, network: Network, region: Region, n: int, rows: int, earlier: Bounds) -> bool:
        """Whether planes fit below so many rows of node n, each with a geometry of its own."""
        if not self.leans(network, region):
            return False
        crop = cropped(network, region, n)
        if crop is None:
            return fits(network, n, earlier, rows)
        return fits(crop.network, crop.network.output, crop.bounds(earlier), rows)

    def _lower(
        self, network: Network, region: Region, node: int, a: Tensor, bounds: Bounds
    ) -> Lowered:
        slopes = initial(network, bounds, node, a.shape[1])
        covers = roofs(network, region, node, bounds, a.shape[1]) if self.lean else {}
        ascent = self.leaning if covers else self.ascent
        found = ascent(network, region, node, a, bounds, slopes, roofs=covers)
        # What is kept are bytes: the bounds are those that bytes give, less float32's rounding.
        slopes = {n: (_whole_bytes(t), _whole_bytes(s)) for n, (t, s) in found.slopes.items()}
        covers = {n: Cover(c.roof, c.whole_bytes()) for n, c in found.roofs.items()}
        with torch.no_grad():
            choice = Choice(slopes, {}, frames(network, bounds, node), covers)
            bound = least(network, region, node, a, bounds, choice)
        return Lowered(bound - _ROUNDING * bound.abs().clamp(min=1.0), slopes, covers)


def _whole_bytes(t: Tensor | None) -> Tensor | None:
    """T in whole 255ths."""
    return None if t is None else (t * 255).round() / 255


def _whole(network: Network, n: int, part: Bounded, earlier: Bounds) -> Raised:
    """Slopes of a sample or of its windows, as slopes of the whole network."""
    crop, index, meant = part.crop, part.elements, part.meant
    if crop is not None:  # (places, R) channels: element = channel * places + place
        index = index * crop.count + part.places[:, None]
    made = Raised(index[meant])
    for n_here, pair in part.made.slopes.items():
        whole = n_here if crop is None else crop.spans[n_here][0]
        op, source = network.nodes[whole].op, network.nodes[whole].inputs[0]
        if not relaxes(op):
            raise AssertionError("slopes belong to relaxed nodes")
        columns = op.bent(earlier[source]).flatten().nonzero().squeeze(1)
        made.columns[whole] = columns
        for side, t in enumerate(pair):
            if t is not None:
                rows = t
                if crop is not None:
                    rows = crop.spread(n_here, t, network.nodes[whole].shape, part.places)
                two = [half[meant][:, columns] for half in rows.flatten(2).chunk(2, 1)]
                made.t[whole, side] = (torch.stack(two) * 255).round().to(torch.uint8)
    for n_here, cover in part.made.roofs.items():
        whole = n_here if crop is None else crop.spans[n_here][0]
        made.s[whole] = _whole_roof(network, whole, part, cover, made.columns[whole])
    return made


def _whole_roof(
    network: Network, whole: int, part: Bounded, cover: Cover, columns: Tensor
) -> Tensor:
    """(2, K, N, M) s in bytes, where the whole network has them: rows and samples are one here."""
    roof, crop = cover.roof, part.crop
    element, place = roof.index[..., None].expand_as(roof.place), roof.place
    if crop is not None:
        here = next(n for n, (w, _) in crop.spans.items() if w == whole)
        element = crop.numbers(here, element, part.places)
        place = crop.numbers(roof.base, place, part.places)
    real = roof.real[..., None] & (roof.weight != 0) & (element >= 0) & (place >= 0)
    slot = slots(network, whole, columns, element, place, real)
    made = torch.zeros(len(slot), 2, len(columns) * network.taps[whole][0].shape[1] + 1)
    made = made.to(torch.uint8)
    s = (cover.s * 255).round().to(torch.uint8).flatten(2)
    made.scatter_(2, slot.flatten(1)[:, None].expand_as(s), s)
    return made[:, :, :-1].transpose(0, 1).reshape(2, len(slot), len(columns), -1)


def _joined(parts: list[Raised]) -> Raised:
    if not parts:
        return Raised(torch.zeros(0, dtype=torch.int64))
    index = torch.cat([part.index for part in parts])
    t = {key: torch.cat([part.t[key] for part in parts], 1) for key in parts[0].t}
    s = {key: torch.cat([part.s[key] for part in parts], 1) for key in parts[0].s}
    return Raised(index, t, parts[0].columns, s=s)
