"""Bounds whose free lines are optimised (alpha-CROWN, 2011.13824)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from saddlepoint.verify.crown import Bounds, Choice, Pull, least
from saddlepoint.verify.network import Network
from saddlepoint.verify.operators.operator import Relaxed
from saddlepoint.verify.region import Region

__all__ = ["Ascent", "Slopes", "initial"]

Slopes = dict[int, tuple[Tensor | None, Tensor | None]]


def initial(network: Network, bounds: Bounds, node: int, rows: int = 1) -> Slopes:
    """Starting t, (B, rows, *shape), of every relaxed node before ``node`` that is bent anywhere.

    It is CROWN's own rule: the line that is best for one neuron alone.
    """
    found: Slopes = {}
    for n in network.relaxed:
        op, source = network.nodes[n].op, network.nodes[n].inputs[0]
        if n >= node or not isinstance(op, Relaxed) or not bool(op.bent(bounds[source]).any()):
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


@dataclass(frozen=True)
class Ascent:
    """Adam on t, and on multipliers where there are splits; the best bound seen is kept.

    Rows that are decided already (their bound is above ``enough``) go on with the others; the loop
    ends when ``done`` says so.
    """

    steps: int = 20
    lr: float = 0.25
    lr_multiplier: float = 0.1
    decay: float = 0.98

    def __call__(
        self,
        network: Network,
        region: Region,
        node: int,
        a: Tensor,
        bounds: Bounds,
        slopes: Slopes,
        multipliers: Mapping[int, "Multiplier"] | None = None,
        done: Callable[[Tensor], bool] = lambda _: False,
    ) -> tuple[Tensor, Slopes, dict[int, Tensor]]:
        """Return the best lower bounds (B, R) of <a, node>, and the t and multipliers behind them.

        The multipliers are changed in place as well, as a warm start.
        """
        multipliers = multipliers or {}
        free = {
            (n, side): t
            for n, pair in slopes.items()
            for side, t in enumerate(pair)
            if t is not None
        }
        leaves = {key: t.detach().clone().requires_grad_() for key, t in free.items()}
        beta = {n: m.value.detach().clone().requires_grad_() for n, m in multipliers.items()}
        groups = [{"params": list(leaves.values()), "lr": self.lr}]
        if beta:
            groups.append({"params": list(beta.values()), "lr": self.lr_multiplier})
        adam = (
            torch.optim.Adam([g for g in groups if g["params"]], betas=(0.9, 0.999))
            if leaves or beta
            else None
        )
        best: Tensor | None = None
        kept: dict[tuple[int, int], Tensor] = {}
        kept_beta: dict[int, Tensor] = {}
        for step in range(self.steps + 1):
            last = step == self.steps or adam is None
            with torch.set_grad_enabled(not last):
                choice = Choice(
                    _pairs(leaves), {n: m.pull(beta[n]) for n, m in multipliers.items()}
                )
                bound = least(network, region, node, a, bounds, choice)
            now = bound.detach()
            if best is None:
                best = now.clone()
                kept = {k: t.detach().clone() for k, t in leaves.items()}
                kept_beta = {n: b.detach().clone() for n, b in beta.items()}
            else:
                better = now > best
                best = torch.maximum(best, now)
                for k, t in leaves.items():
                    keep(better, t, kept[k])
                for n, b in beta.items():
                    keep(better, b, kept_beta[n])
            if last or adam is None or done(best):
                break
            adam.zero_grad()
            (-bound.sum()).backward()
            adam.step()
            for group in adam.param_groups:
                group["lr"] *= self.decay
            with torch.no_grad():
                for t in leaves.values():
                    t.clamp_(0, 1)
                for b in beta.values():
                    b.clamp_(min=0)
        if best is None:
            raise AssertionError("at least one bound was computed")
        return best, _pairs(kept), kept_beta


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


def _pairs(flat: Mapping[tuple[int, int], Tensor]) -> Slopes:
    found: Slopes = {}
    for (n, side), t in flat.items():
        low, high = found.get(n, (None, None))
        found[n] = (t, high) if side == 0 else (low, t)
    return found


def keep(better: Tensor, new: Tensor, old: Tensor) -> None:
    """Overwrite the rows of ``old`` (B, R or 1, *shape) whose bound got better."""
    if old.shape[1] == 1:
        better = better.any(1, keepdim=True)
    mask = better.reshape(*better.shape, *[1] * (old.dim() - 2))
    old.copy_(torch.where(mask, new.detach(), old))
