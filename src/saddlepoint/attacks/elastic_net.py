"""Elastic-net attack: ISTA or FISTA on a hinge, with a shrinkage of the size in each step."""

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

from saddlepoint.attacks.anneal import check_share
from saddlepoint.attacks.boundary import RANGE, settle
from saddlepoint.attacks.carlini_wagner import check_kappa
from saddlepoint.attacks.hinge import LAST, State, opening
from saddlepoint.attacks.proximal import proximal
from saddlepoint.core.access import Gradients
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid
from saddlepoint.core.shapes import INF, dot, like
from saddlepoint.core.spec import compact
from saddlepoint.core.threat import GradedConvex
from saddlepoint.core.whole import require_whole

__all__ = ["EAD", "Shrinks"]


@runtime_checkable
class Shrinks(Protocol):
    """Sets whose size has a proximal point in closed form, within the input range."""

    def shrink(self, x: Tensor, u: Tensor, by: Tensor) -> Tensor:
        """Argmin_v ||v - u||^2 / 2 + by · size(v), by (B,), over the v that the range allows."""
        ...


def shrunk(threat: GradedConvex, x: Tensor, v: Tensor, by: Tensor) -> Tensor:
    """(B, *P) the proximal point of v: in closed form where the set has one, else derived.

    >>> from saddlepoint.threats import L1
    >>> x, v = torch.full((1, 3), 0.5), torch.tensor([[0.9, -0.3, 0.1]])
    >>> shrunk(L1(eps=1.0), x, v, torch.tensor([0.2]))
    tensor([[ 0.5000, -0.1000,  0.0000]])
    """
    if isinstance(threat, Shrinks):
        return threat.shrink(x, v, by)
    return proximal(threat, x, v, by)


@dataclass(frozen=True, repr=False)
class EAD:
    """u <- shrink(y - a ∇(||y||^2 + c · max(kappa - margin, 0)), a beta) (1709.04114, alg. 1).

    Minimises beta size(u) + ||u||^2 + c · hinge, size the L_1 norm in the paper and in ``L1``: the
    shrinkage takes the first term, exactly and within the input range. fista: y runs ahead of u by
    k / (k + 3) of its last move; else y = u. c is tuned as in ``CW``. rule: settle on the break of
    smallest ``size`` (the paper's L1 rule) or of smallest ``elastic`` net, beta size + ||u||^2 (its
    EN rule); what is reported is closest in the set's own measure. beta: published from 0.001 to
    0.1, where the Euclidean term decides. Departures from the paper: a step is ``step_size`` times
    the length at which a linear model breaks, or of the best break, over the root mean square of
    the gradients, and falls to a hundredth; last, three gradients along the boundary and three
    questions between x and the closest break. steps: gradients in each of ``rounds`` values of c.

    >>> EAD(rule="elastic", beta=0.01)
    EAD(beta=0.01, rule='elastic')
    """

    steps: int = 100
    rounds: int = 6
    beta: float = 10.0
    kappa: float = 0.0
    step_size: float = 5.0
    fista: bool = True
    rule: Literal["size", "elastic"] = "size"

    __repr__ = compact

    def __post_init__(self) -> None:
        require_whole("steps", self.steps)
        require_whole("rounds", self.rounds)
        check_share("beta", self.beta, INF)
        check_share("step_size", self.step_size, INF)
        check_kappa(self.kappa)
        if self.rule not in ("size", "elastic"):
            raise Invalid("rule", self.rule, "'size' or 'elastic'")

    def __call__(self, oracle: Gradients[GradedConvex], draw: Draw) -> None:
        """Tune c, from x at first, and settle."""
        oracle = oracle.roam().aim("margin")
        s = opening(oracle, self.kappa)
        s.c = 2 * s.c + self.beta * s.c / s.reach.clamp(min=1e-12)
        for _ in range(self.rounds):
            oracle, s = oracle.shrink(s)
            s.tune(self._descend(oracle, s))
        settle(oracle, s.u)

    def _size(self, oracle: Gradients[GradedConvex], u: Tensor) -> Tensor:
        """(B,) what the rule goes by."""
        size = oracle.threat.size(oracle.x, u)
        return size if self.rule == "size" else self.beta * size + dot(u, u)

    def _descend(self, oracle: Gradients[GradedConvex], s: State) -> Tensor:
        """(B,) bool whether c was enough in the second half."""
        x = oracle.x
        y = old = s.u
        won, mean = torch.zeros_like(s.c, dtype=torch.bool), torch.zeros_like(s.c)
        known = torch.where(s.size.isfinite(), dot(y, y).sqrt(), INF)
        length = self.step_size * torch.minimum(s.reach, known)
        for k in range(self.steps):
            value, g = oracle.value_and_grad(y)
            past = value > self.kappa
            s.see(y, self._size(oracle, y), past)
            won = won | past if 2 * k >= self.steps else won
            down = 2 * y - like(torch.where(past, 0, s.c), g) * g.nan_to_num(0, 0, 0)
            mean = 0.9 * mean + 0.1 * dot(down, down)
            a = length * LAST ** (k / max(1, self.steps - 1))
            a = a / (mean / (1 - 0.9 ** (k + 1))).sqrt().clamp(min=1e-30)
            u = shrunk(oracle.threat, x, y - like(a, y) * down, a * self.beta)
            ahead = k / (k + 3) if self.fista else 0.0
            y = oracle.threat.at(RANGE).project(x, u + ahead * (u - old))
            old = u
        return won
