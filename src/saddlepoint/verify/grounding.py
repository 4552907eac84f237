"""The intervals of a certificate: bounded anew in float64, by the slopes that a search found."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from saddlepoint.verify.certificate import PLANES, Certificate
from saddlepoint.verify.checker import Checker
from saddlepoint.verify.crown import exact
from saddlepoint.verify.interval import Interval
from saddlepoint.verify.problem import Problem
from saddlepoint.verify.proof.inputs import Inputs
from saddlepoint.verify.proof.leaves import Ground, stored_of
from saddlepoint.verify.proof.roofs import Cover, covers, width
from saddlepoint.verify.proof.slots import Range, Slot, slots, sources
from saddlepoint.verify.proof.sweep import Far, sweep
from saddlepoint.verify.refine import Raised

__all__ = ["grounded", "planted"]

_EDGE = 1e-9  # float64 adds up otherwise in batches of another size: room for that
_CLOSE = 1e-6  # a float32 bound that float64 falls short of by less is reached


def grounded(checker: Checker, problem: Problem, where: Inputs) -> tuple[Certificate, Ground]:
    """Intervals of what is bent, by planes, as a certificate stores them, rounded outward.

    Elements that the search raised take its slopes, and CROWN's own rule where these fall short of
    the search's bound; of both the better one is claimed.
    """
    made = _Grounding(checker, problem)
    found, drawn = sweep(checker.network, where, made.settle)
    stored = torch.cat([torch.zeros(0).bool(), *made.stored.values()])
    low, high = (torch.cat([torch.zeros(0), *ends]) for ends in made.ends)
    claim = torch.cat([torch.zeros(0, 2, dtype=torch.int32), *made.claim])
    lean = torch.cat([torch.zeros(0, 2, dtype=torch.int32), *made.lean])
    masks = stored_of(checker.network, stored)
    listed = slots(checker.network, found, masks)
    t = _stacked(made.t, sum(len(slot.elements) for slot in listed))
    over, roof = [], torch.zeros(0, 0, dtype=torch.uint8)
    if problem.roofs or made.roof:
        over = covers(checker.network, found, masks)
        roof = _stacked(made.roof, width(over))
    base = Certificate(PLANES, stored, low, high, claim, lean, t=t, roof=roof)
    return base, Ground(checker.network, where, found, drawn, listed, over)


def _stacked(parts: Sequence[Tensor], wide: int) -> Tensor:
    """Rows below each other, with zeros behind those that are shorter."""
    made = torch.zeros(sum(map(len, parts)), wide, dtype=torch.uint8)
    begin = 0
    for part in parts:
        made[begin : begin + len(part), : part.shape[1]] = part
        begin += len(part)
    return made


def planted(over: Sequence[Cover], s: Mapping[int, tuple[Tensor, Tensor]], rows: int) -> Tensor:
    """(rows, W) bytes for the covers; s: by node elements (N,) and bytes (rows, N, M) of planes."""
    parts = [torch.zeros(rows, 0, dtype=torch.uint8)]
    for cover in over:
        made = torch.zeros(rows, *cover.place.shape, dtype=torch.uint8)
        if cover.node in s:
            columns, own = s[cover.node]
            place = torch.full((int(max(cover.elements.max(), columns.max())) + 1,), -1)
            place[columns] = torch.arange(len(columns))
            at = place[cover.elements]
            known, most = (at >= 0).nonzero()[:, 0], min(own.shape[2], made.shape[2])
            made[:, known, :most] = own[:, at[known], :most]
        parts.append(made.flatten(1))
    return torch.cat(parts, 1)


class _Grounding:
    """Collects the parts of a certificate while intervals are propagated."""

    def __init__(self, checker: Checker, problem: Problem) -> None:
        self.network, self.problem = checker.network, problem
        self.read = sources(checker.network)
        # Of the input alone: the search bounds what reads them over a box with flat lines.
        self.flat = problem.network.prefix.intersection(problem.network.relaxed)
        self.stored: dict[int, Tensor] = {}
        self.ends: tuple[list[Tensor], list[Tensor]] = ([], [])
        self.claim: list[Tensor] = []
        self.lean: list[Tensor] = []
        self.t: list[Tensor] = []
        self.roof: list[Tensor] = []
        self.rows = self.tops = 0

    def settle(self, n: int, near: Range, far: Far) -> Range:
        """Interval of node n with the elements that may be bent bounded by planes."""
        inner = Interval(near[0] + _EDGE, near[1] - _EDGE)
        ops: list[Any] = [self.network.nodes[m].op for m in self.read[n]]
        mask = torch.stack([op.bent(inner).flatten() for op in ops]).any(0)
        self.stored[n] = mask
        index = mask.nonzero()[:, 0]
        listed = slots(self.network, far.found, self.stored, n)
        result, names, tops = [], [], []
        for side, (end, to) in enumerate(zip(near, self.ends, strict=True)):
            flat, sign = end.flatten(1).clone(), 1 - 2 * side
            best, name = sign * flat[0, index], torch.full_like(index, -1)
            top = name
            if not exact(self.problem.network, self.problem.region, n):
                best, name, top = self._by_planes(n, index, best, side, far, listed)
            outward = (sign * (best - _EDGE)).float()
            outward = torch.nextafter(outward, torch.tensor(-sign * torch.inf))
            to.append(outward)
            names.append(name)
            tops.append(top)
            flat[0, index] = outward.double()
            result.append(flat.view_as(end))
        self.claim.append(torch.stack(names, 1).to(torch.int32))
        self.lean.append(torch.stack(tops, 1).to(torch.int32))
        return result[0], result[1]

    def _by_planes(
        self, n: int, index: Tensor, near: Tensor, side: int, far: Far, listed: Sequence[Slot]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The best bounds of sign times the elements, and the rows of t and of planes, or -1."""
        sign = 1 - 2 * side
        raised = self.problem.raised.get(n, Raised(index[:0]))
        wanted = sign * self.problem.bounds[n][side].flatten().double()[index] - _CLOSE
        place = torch.full((self.network.nodes[n].shape.numel(),), -1)
        place[raised.index] = torch.arange(len(raised.index))
        best, name, top = near.clone(), torch.full_like(index, -1), torch.full_like(index, -1)
        over = covers(self.network, far.found, self.stored, n) if raised.s else []

        def attempt(
            some: Tensor, rows: Tensor | None, first: int, step: int, s: Tensor | None = None
        ) -> Tensor:
            """Bound some of the elements by the rows; return which of these were worth it."""
            shown = far(index[some], sign, listed, rows, over, s)
            better = (shown > best[some]).nonzero()[:, 0]
            best[some[better]] = shown[better]
            name[some[better]] = first + step * torch.arange(len(better))
            top[some[better]] = -1 if s is None else self.tops + torch.arange(len(better))
            return better

        mine = (place[index] >= 0).nonzero()[:, 0]
        rows, s = self._rows(raised, side, place[index[mine]], listed), None
        if width(over):
            own = {f: (raised.columns[f], v[side][place[index[mine]]]) for f, v in raised.s.items()}
            s = planted(over, own, len(mine))
        worth = attempt(mine, rows, self.rows, 1, s)
        self._keep(rows[worth])
        if s is not None:
            self.roof.append(s[worth])
            self.tops += len(worth)
        short = ((place[index] < 0) | (best < wanted)).nonzero()[:, 0]
        attempt(short, None, -1, 0)
        short = (best < wanted).nonzero()[:, 0]
        if len(short) and (raised.rule or self.flat):
            rows = self._rows(Raised(index[:0], rule=raised.rule), side, short[:1] * 0, listed)
            worth = attempt(short, rows.expand(len(short), -1), self.rows, 0)
            self._keep(rows[: len(worth)])
        return best, name, top

    def _keep(self, rows: Tensor) -> None:
        self.t.append(rows)
        self.rows += len(rows)

    def _rows(self, raised: Raised, side: int, place: Tensor, listed: Sequence[Slot]) -> Tensor:
        """(K, T) bytes for the slots: the search's, CROWN's where it had none."""
        parts = [torch.zeros(len(place), 0, dtype=torch.uint8)]
        for node, line, elements in listed:
            op: Any = self.problem.network.nodes[node].op
            x = self.problem.bounds[self.problem.network.nodes[node].inputs[0]]
            dense = raised.rule.get((node, line), op.default(x)[line].flatten())
            if node in self.flat:
                dense = torch.zeros_like(dense)
            dense = (dense * 255).round().to(torch.uint8).expand(len(place), -1)
            if (node, line) in raised.t:
                own = raised.t[node, line][side][place]
                dense = dense.index_copy(1, raised.columns[node], own)
            parts.append(dense[:, elements])
        return torch.cat(parts, 1)
