"""Bandits: the gradient as a memory that every pair of questions corrects."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from saddlepoint.attacks.anneal import check_share
from saddlepoint.attacks.blocks import spans, split
from saddlepoint.attacks.differences import apart, stretched
from saddlepoint.core.access import Scores
from saddlepoint.core.draw import Draw
from saddlepoint.core.loss import Loss, check_loss
from saddlepoint.core.shapes import flat, like
from saddlepoint.core.spec import compact
from saddlepoint.core.threat import ThreatModel
from saddlepoint.core.whole import require_whole

__all__ = ["Bandits"]

_MEMORY = 0.9  # of the size of gains


@dataclass(frozen=True, repr=False)
class Bandits:
    """v <- A(v, (f(u + c q) - f(u + c q')) n) with q, q' = v ± delta n; u steps along v.

    Bandits with a time prior, v is kept from step to step, and a data prior, v has one entry for
    each of ``tiles`` x ``tiles`` cells over the last two axes of u (1807.07978, alg. 1 to 3). Where
    coordinates do not compete, as in the L_inf ball, A is the exponentiated gradient: v = tanh(w)
    and w takes the step; elsewhere v takes it. The difference is divided by its usual size, so that
    the scale of the loss does not matter, and both questions are projected, so that each may be a
    break. n_queries: evaluations per sample. tiles: cells along each of two axes; vectors keep an
    entry for each coordinate. delta: length of the exploration n, beside entries of v about one. c:
    length of q in radii. rate: step of A. step_size: of u, in radii. loss: what to climb.

    >>> Bandits(n_queries=1000)
    Bandits(n_queries=1000)
    """

    n_queries: int = 5000
    tiles: int = 10
    delta: float = 3.0
    c: float = 0.1
    rate: float = 0.1
    step_size: float = 0.1
    loss: Loss | str | None = "margin"

    __repr__ = compact

    def __post_init__(self) -> None:
        for name in ("n_queries", "tiles"):
            require_whole(name, getattr(self, name))
        for name in ("delta", "c", "rate", "step_size"):
            check_share(name, getattr(self, name), math.inf)
        check_loss(self.loss)

    def __call__(self, oracle: Scores[ThreatModel], draw: Draw) -> None:
        """Climb from the clean input, with no idea of the gradient."""
        oracle = oracle.aim(self.loss)
        u = oracle.threat.start(oracle.x)
        channels, axes = split(u)
        if len(axes) > 1:
            axes = [min(self.tiles, length) for length in axes]
        shape = [*channels, *axes]
        w, usual = u.new_zeros(len(u), *shape), u.new_zeros(len(u))
        free = apart(oracle, u, draw.tag("apart").normal(*u.shape[1:]).to(u.dtype))
        for k in range(self.n_queries // 2):
            oracle, u, w, usual, free, draw = oracle.shrink(u, w, usual, free, draw)
            n = draw.tag(k).normal(*shape).to(u.dtype)
            v = torch.where(like(free, w), w.tanh(), w)
            gain = self._gain(oracle, u, v, n * (self.delta / max(1, flat(n).shape[1]) ** 0.5))
            usual = _MEMORY * usual + (1 - _MEMORY) * gain.square()
            size = (usual / (1 - _MEMORY ** (k + 1))).sqrt()
            share = gain / size.masked_fill(size == 0, 1)
            w = w + self.rate * like(share, n) * n
            v = _spread(torch.where(like(free, w), w.tanh(), w), u)
            step = oracle.threat.steepest(oracle.x, u, v)
            u = oracle.threat.project(oracle.x, u + self.step_size * step)
        if self.n_queries % 2:
            oracle.value(u)

    def _gain(self, oracle: Scores[ThreatModel], u: Tensor, v: Tensor, n: Tensor) -> Tensor:
        """(B,) by how much the loss along v + n is above that along v - n."""
        values = []
        for q in (_spread(v + n, u), _spread(v - n, u)):
            step = self.c * stretched(oracle, u, q)
            values.append(oracle.value(oracle.threat.project(oracle.x, u + step)))
        return (values[0] - values[1]).nan_to_num(0, 0, 0).to(u.dtype)


def _spread(v: Tensor, u: Tensor) -> Tensor:
    """(B, *P) every cell over the coordinates it stands for."""
    _, axes = split(u)
    for i, length in enumerate(reversed(axes)):
        dim = v.dim() - 1 - i
        v = v.index_select(dim, spans(length, v.shape[dim]).to(v.device))
    return v
