"""Intervals for a certificate: bounded anew in float64, rounded outward to float32."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from saddlepoint.verify.certificate import PLANES, Certificate
from saddlepoint.verify.checker import Checker
from saddlepoint.verify.crown import exact
from saddlepoint.verify.interval import Interval
from saddlepoint.verify.problem import Problem
from saddlepoint.verify.proof.slots import Range, slots, sources
from saddlepoint.verify.proof.sweep import Far

__all__ = ["Aim", "Survey"]

_EDGE = 1e-9  # float64 adds up otherwise in batches of another size: room for that


@dataclass(frozen=True, eq=False)
class Aim:
    """Elements of one node that were bounded with lines of their own: index (M,), sign (M,).

    sign is 1 for a low end and -1 for a high one; slopes: t by function before the
    node, (M, *shape).
    """

    index: Tensor
    sign: Tensor
    slopes: Mapping[int, tuple[Tensor | None, Tensor | None]]


class Survey:
    """Settles the intervals of a network, and keeps what shows them."""

    def __init__(self, checker: Checker, problem: Problem, aims: Mapping[int, Aim]) -> None:
        self.network, self.problem, self.aims = checker.network, problem, aims
        self.read = sources(checker.network)
        self.stored: dict[int, Tensor] = {}
        self.ends: dict[int, list[Tensor]] = {1: [torch.zeros(0)], -1: [torch.zeros(0)]}
        self.aim = [torch.zeros(0, 3, dtype=torch.int32)]
        self.aim_t = [torch.zeros(0, dtype=torch.uint8)]

    def settle(self, n: int, near: Range, far: Far) -> Range:
        """Bound what is bent by planes, and round outward."""
        inner = Interval(near[0] + _EDGE, near[1] - _EDGE)
        ops: list[Any] = [self.network.nodes[m].op for m in self.read[n]]
        mask = torch.stack([op.bent(inner).flatten() for op in ops]).any(0)
        index = mask.nonzero()[:, 0]
        result = []
        for end, sign in zip(near, (1, -1), strict=True):
            flat = end.flatten(1).clone()
            best = sign * flat[0]
            if not exact(self.problem.network, self.problem.region, n):
                best[index] = torch.maximum(best[index], far(index, sign))
                best = self._aimed(n, best, mask, sign, far)
            outward = (sign * (best[index] - _EDGE)).float()
            outward = torch.nextafter(outward, torch.tensor(-sign * torch.inf))
            self.ends[sign].append(outward)
            flat[0, index] = outward.double()
            result.append(flat.view_as(end))
        self.stored[n] = mask
        return result[0], result[1]

    def _aimed(self, n: int, best: Tensor, mask: Tensor, sign: int, far: Far) -> Tensor:
        """Take the elements that their own lines bound better, and keep these lines."""
        if n not in self.aims:
            return best
        aim = self.aims[n]
        some = ((aim.sign == sign) & mask[aim.index]).nonzero()[:, 0]
        listed = slots(self.network, far.found, self.stored, n)
        t = [torch.zeros(len(some), 0)]
        for node, side, elements in listed:
            pair = aim.slopes.get(node, (None, None))
            own = pair[side]
            rows = torch.full((len(some), 1), 0.5).expand(-1, len(elements))
            t.append(rows if own is None else own[some].flatten(1)[:, elements].clamp(0, 1))
        q = (torch.cat(t, 1) * 255).round().to(torch.uint8)
        value = far(aim.index[some], sign, listed, q.double() / 255)
        gains = (value > best[aim.index[some]] + _EDGE).nonzero()[:, 0]
        index = aim.index[some][gains]
        row = torch.stack([torch.full_like(index, n), index, torch.full_like(index, sign)], 1)
        self.aim.append(row.to(torch.int32))
        self.aim_t.append(q[gains].flatten())
        return best.scatter_reduce(0, index, value[gains], "amax")

    def base(self) -> Certificate:
        """Return the certificate without its trees."""
        stored = torch.cat([torch.zeros(0, dtype=torch.bool), *self.stored.values()])
        low, high = torch.cat(self.ends[1]), torch.cat(self.ends[-1])
        aim, aim_t = torch.cat(self.aim), torch.cat(self.aim_t)
        return Certificate(PLANES, stored, low, high, aim=aim, aim_t=aim_t)
