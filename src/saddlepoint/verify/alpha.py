"""Bounds whose free lines are optimised (alpha-CROWN, 2011.13824)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from saddlepoint.verify.adam import Adam
from saddlepoint.verify.interval import Bounds
from saddlepoint.verify.network import Network
from saddlepoint.verify.operators.operator import relaxes
from saddlepoint.verify.planes import Choice, Frames, Pull, Used, backward, frames
from saddlepoint.verify.region import Region
from saddlepoint.verify.roof import Cover, Roofs
from saddlepoint.verify.slope import Slope, by_multiplier, by_s, by_t, values_of

__all__ = ["Ascent", "Found", "Free", "Mixture", "Multiplier", "Slopes", "initial"]

Slopes = dict[int, tuple[Tensor | None, Tensor | None]]


def initial(network: Network, bounds: Bounds, node: int, rows: int = 1) -> Slopes:
    """Starting t, (B, rows, *shape), of every relaxed node before ``node`` that is bent anywhere.

    It is CROWN's own rule: the line that is best for one neuron alone.
    """
    found: Slopes = {}
    for n in network.relaxed:
        op, source = network.nodes[n].op, network.nodes[n].inputs[0]
        if n not in network.below[node] or n == node or not relaxes(op):
            continue
        if not bool(op.bent(bounds[source]).any()):
            continue
        low, high = op.default(bounds[source])
        pair = (low if op.free[0] else None, high if op.free[1] else None)
        shape = network.nodes[n].shape
        if pair != (None, None):
            found[n] = tuple(  # type: ignore[assignment]
                None if t is None else t[:, None].expand(-1, rows, *shape).contiguous()
                for t in pair
            )
    return found


Key = tuple[int, int]  # a relaxed node, and 0 for its lower line or 1 for its upper


class Mixture(NamedTuple):
    """Rows of which a weighted sum is bounded: where it is above zero, so is one of them.

    row and shift: the sum of the rows and of their offsets for weights (B, R); weights: >= 0, a
    start; rise: how the sum rises with the weights where the rows' node has the value z. Rows that
    are single have weight one and nothing to optimise.
    """

    row: Callable[[Tensor], Tensor]
    shift: Callable[[Tensor], Tensor]
    weights: Tensor
    rise: Callable[[Tensor, Tensor], Tensor]


class Found(NamedTuple):
    """Best lower bounds (B, R), and the slopes, multipliers, weights and planes behind them."""

    bound: Tensor
    slopes: Slopes
    beta: dict[int, Tensor]
    weights: Tensor | None
    roofs: Roofs


@dataclass(frozen=True)
class Ascent:
    """Adam on t, and on multipliers where there are splits; the best bound seen is kept.

    steps: of Adam; lr: of t; lr_multiplier: of multipliers; lr_roof: of s of planes, which stay
    where they are at 0; decay: of all rates, each step.
    """

    steps: int = 20
    lr: float = 0.25
    lr_multiplier: float = 0.1
    lr_roof: float = 0.05
    decay: float = 0.98

    def __call__(
        self,
        network: Network,
        region: Region,
        node: int,
        a: Tensor | Mixture,
        bounds: Bounds,
        slopes: Slopes,
        multipliers: Mapping[int, "Multiplier"] | None = None,
        done: Callable[[Tensor], bool] = lambda _: False,
        roofs: Roofs | None = None,
    ) -> Found:
        """Raise the lower bounds of <a, node>, a (B, R, *shape), until ``done`` says it is enough.

        Rows that are good enough already go on with the others. Of a mixture one row is bounded,
        (B, 1), its offset included.
        """
        free = Free(a, slopes, multipliers or {}, roofs or {}, bool(self.lr_roof))
        rates = free.rates(self.lr, self.lr_multiplier, self.lr_roof)
        adam = Adam(free.tensors, rates, self.decay)
        made = frames(network, bounds, node)
        best = _Best()
        with torch.no_grad():
            for step in range(self.steps + 1):
                row, shift = free.row(a)
                seen: dict[int, Used] = {}
                plane = backward(network, node, row, bounds, free.choice(made), seen)
                bound = region.least(plane.slope) + plane.constant + shift
                best.see(bound, free.tensors)
                if step == self.steps or not free.reaches(seen) or done(best.bound):
                    break
                x = region.minimiser(plane.slope)
                adam.step([-g for g in free.rises(network, node, x, seen, made)])
                free.clamp()
        return free.found(best)


class Free:
    """What an ascent moves: t, multipliers, and the weights of a mixture of several rows."""

    def __init__(
        self,
        a: Tensor | Mixture,
        slopes: Slopes,
        multipliers: Mapping[int, "Multiplier"],
        roofs: Roofs | None = None,
        leaning: bool = True,
    ) -> None:
        self.multipliers, self.mixture, self.roofs = multipliers, a, roofs or {}
        self.t: dict[Key, Tensor] = {
            (n, side): t.detach().clone()
            for n, pair in slopes.items()
            for side, t in enumerate(pair)
            if t is not None
        }
        self.beta = {n: m.value.detach().clone() for n, m in multipliers.items()}
        self.weights = a.weights.detach().clone() if isinstance(a, Mixture) else None
        several = self.weights is not None and self.weights.shape[1] > 1
        self.mixed = [self.weights] if several and self.weights is not None else []
        self.s = {n: c.s.detach().clone() for n, c in self.roofs.items() if leaning}
        self.tensors = [*self.t.values(), *self.beta.values(), *self.s.values(), *self.mixed]

    def rates(self, lr: float, lr_multiplier: float, lr_roof: float) -> list[float]:
        """A rate for each tensor."""
        counts = (len(self.t), lr), (len(self.beta), lr_multiplier), (len(self.s), lr_roof)
        return [rate for count, rate in (*counts, (len(self.mixed), lr)) for _ in range(count)]

    def row(self, a: Tensor | Mixture) -> tuple[Tensor, Tensor | float]:
        """Rows to bound, and what is added to their bounds."""
        if isinstance(a, Mixture) and self.weights is not None:
            return a.row(self.weights), a.shift(self.weights)
        if isinstance(a, Mixture):
            raise AssertionError("a mixture has weights")
        return a, 0.0

    def reaches(self, seen: Mapping[int, Used]) -> bool:
        """Whether anything that is free has a part in the bounds."""
        free = {n for n, _ in self.t} | {*self.s}
        return bool(self.mixed) or bool(self.beta) or any(n in seen for n in free)

    def rises(
        self, network: Network, node: int, x: Tensor, seen: Mapping[int, Used], made: Frames
    ) -> list[Tensor]:
        """How the bounds rise with each tensor, at their minimisers x (B, R, *F)."""
        wanted = {network.nodes[n].inputs[0] for n, _ in self.t} | {*self.multipliers}
        wanted |= {self.roofs[n].roof.base for n in self.s}
        values = values_of(network, {*wanted, *([node] if self.mixed else [])}, x, seen)
        slope = Slope(values, seen, made)
        found = [
            by_t(network, n, side, slope) if n in seen else torch.zeros_like(t)
            for (n, side), t in self.t.items()
        ]
        found += [by_multiplier(self.multipliers[n], values[n]) for n in self.beta]
        found += [by_s(n, slope) if n in seen else torch.zeros_like(s) for n, s in self.s.items()]
        if self.mixed and isinstance(self.mixture, Mixture):
            found.append(self.mixture.rise(self.mixed[0], values[node]))
        return [_summed(g, t) for g, t in zip(found, self.tensors, strict=True)]

    def choice(self, made: Frames) -> Choice:
        """What bounds are made with now."""
        pull = {n: m.pull(self.beta[n]) for n, m in self.multipliers.items()}
        return Choice(_pairs(self.t), pull, made, self.covers())

    def covers(self) -> Roofs:
        """Planes as they lean now."""
        return {n: Cover(c.roof, self.s[n]) if n in self.s else c for n, c in self.roofs.items()}

    def clamp(self) -> None:
        """Back to where bounds are sound: t, s in [0, 1], multipliers >= 0, some weight above 0."""
        for t in (*self.t.values(), *self.s.values()):
            t.clamp_(0, 1)
        for beta in self.beta.values():
            beta.clamp_(min=0)
        for weights in self.mixed:
            weights.clamp_(min=1e-4)

    def found(self, best: "_Best") -> Found:
        """Return the best bounds with what gave them."""
        kept = iter(best.kept)
        slopes = _pairs({key: next(kept) for key in self.t})
        beta = {n: next(kept) for n in self.beta}
        leaning = {n: Cover(self.roofs[n].roof, next(kept)) for n in self.s}
        weights = None if self.weights is None else self.weights.detach()
        weights = next(kept) if self.mixed else weights
        return Found(best.bound, slopes, beta, weights, {**self.roofs, **leaning})


def _summed(g: Tensor, t: Tensor) -> Tensor:
    """A derivative by what several rows share."""
    return g if g.shape == t.shape else g.sum_to_size(t.shape)


class _Best:
    """The best bound of every row so far, and what gave it."""

    def __init__(self) -> None:
        self.bound = torch.zeros(0)
        self.kept: list[Tensor] = []

    def see(self, bound: Tensor, free: Sequence[Tensor]) -> None:
        """Keep what is better than before."""
        if not self.bound.numel():
            self.bound, self.kept = bound.clone(), [t.detach().clone() for t in free]
            return
        better = bound > self.bound
        self.bound = torch.maximum(self.bound, bound)
        if bool(better.all()):
            for new, old in zip(free, self.kept, strict=True):
                old.copy_(new)
            return
        for new, old in zip(free, self.kept, strict=True):
            keep(better, new, old)


@dataclass(frozen=True, eq=False)
class Multiplier:
    """Multipliers of the constraints that split one node: sign z <= sign c where sign is not 0.

    value: (B, R, *shape) >= 0; sign: (B, *shape), +1 for z <= c, -1 for z >= c, 0 for none;
    at: (B, *shape) c, None where every c is 0.
    """

    value: Tensor
    sign: Tensor
    at: Tensor | None = None

    def __getitem__(self, rows: Tensor) -> "Multiplier":
        at = None if self.at is None else self.at[rows]
        return Multiplier(self.value[rows], self.sign[rows], at)

    def pull(self, beta: Tensor) -> Pull:
        """Beta sign (z - c), which is <= 0 wherever the constraint holds."""
        slope = beta * self.sign[:, None]
        if self.at is None:
            return Pull(slope, slope.new_zeros(slope.shape[:2]))
        return Pull(slope, -(slope * self.at[:, None]).flatten(2).sum(2))


def _pairs(flat: Mapping[Key, Tensor]) -> Slopes:
    found: Slopes = {}
    for (n, side), t in flat.items():
        low, high = found.get(n, (None, None))
        found[n] = (t, high) if side == 0 else (low, t)
    return found


def keep(better: Tensor, new: Tensor, old: Tensor) -> None:
    """Overwrite the rows of ``old`` (B, R or 1, *shape) whose bound got better."""
    if old.dim() == 2:  # weights
        better = better[:, 0]
    elif old.shape[1] == 1:
        better = better.any(1, keepdim=True)
    mask = better.reshape(*better.shape, *[1] * (old.dim() - better.dim()))
    old.copy_(torch.where(mask, new.detach(), old))
