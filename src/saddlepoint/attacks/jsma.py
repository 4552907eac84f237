"""JSMA: change the one or two places that a saliency map of the Jacobian names, again and again."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from saddlepoint.attacks.anneal import check_share
from saddlepoint.attacks.places import Places, ends
from saddlepoint.core.access import Gradients
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid
from saddlepoint.core.goal import Goal, read, score_of
from saddlepoint.core.shapes import flat, like, put
from saddlepoint.core.spec import compact
from saddlepoint.core.threat import radii
from saddlepoint.core.whole import require_whole

__all__ = ["JSMA"]

Scale = Literal["logits", "probabilities"]


@dataclass(frozen=True)
class _Score:
    """The score of the goal's class, or the sum of all others; upwards is where the goal is.

    Of a goal without classes its margin stands for both.
    """

    others: bool
    scale: Scale

    def __call__(self, out: Any, goal: Goal) -> Tensor:  # noqa: ANN401 - whatever the model returns
        """Return (B,)."""
        sign: int | None = getattr(goal, "sign", None)
        if sign is None:
            margin: Tensor = goal.margin(out)
            return -margin if self.others else margin
        scores = read(out, goal)
        scores = scores.softmax(1) if self.scale == "probabilities" else scores
        label: Tensor = goal.label  # type: ignore[attr-defined]
        if self.others == (sign > 0):
            return score_of(scores, label)
        return scores.scatter(1, label[:, None], 0).sum(1)


@dataclass(frozen=True, repr=False)
class JSMA:
    """Move the places of largest a · |b| by theta, where a > 0 > b (1511.07528, alg. 2 and 3).

    a is what the target's score gains by the move, by its gradient, b what the sum of all others
    does; to leave a class, a is for the sum of the others and b for that class. With ``pair`` those
    of two places are summed where that is worth more: two may do what neither does. sign: 1 moves
    values up, -1 down, 0 the better of both, though no value back (the paper keeps to one). theta:
    how far, as a share of the input range. A row ends at its first break, when the set allows no
    more, or when no move has a > 0 > b. scale: read ``logits``, or ``probabilities`` as first
    published, whose gradients vanish where the model is sure (1608.04644, §IX). The paper weighs
    the Jacobian alone; here the room that is left to a value counts too. steps: moves at most, of
    two gradients and a question each; None for as many as there are places. Needs an L_0 set.

    >>> JSMA(pair=False, sign=0)
    JSMA(pair=False, sign=0)
    """

    theta: float = 1.0
    pair: bool = True
    sign: Literal[-1, 0, 1] = 1
    scale: Scale = "logits"
    steps: int | None = None

    __repr__ = compact

    def __post_init__(self) -> None:
        check_share("theta", self.theta, 1 + 1e-9)
        if self.sign not in (-1, 0, 1) or isinstance(self.sign, bool):
            raise Invalid("sign", self.sign, "1, -1, or 0 for both")
        if self.scale not in ("logits", "probabilities"):
            raise Invalid("scale", self.scale, "'logits' or 'probabilities'")
        if self.steps is not None:
            require_whole("steps", self.steps)

    def __call__(self, oracle: Gradients[Places], draw: Draw) -> None:
        """Move place after place from x."""
        u = oracle.threat.start(oracle.x)
        most = math.ceil(oracle.threat.gather(u[:1]).numel() / self.theta)
        for _ in range(self.steps or most):
            oracle, u = oracle.shrink(u)
            gain, rest = (
                oracle.aim(_Score(others, self.scale)).value_and_grad(u)[1]
                for others in (False, True)
            )
            u, stuck = self._move(oracle, u, gain, rest)
            oracle, u = oracle.rest(stuck).shrink(u)
            oracle = oracle.rest(oracle.solved(u))

    def _move(
        self, oracle: Gradients[Places], u: Tensor, gain: Tensor, rest: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the next point, and (B,) whether there is none."""
        low, high = ends(oracle.threat, oracle.x)
        width = self.theta * (high - low)
        best, new = torch.zeros_like(flat(u)[:, 0]), u
        for sign in (1, -1) if self.sign == 0 else (self.sign,):
            moved = torch.minimum(torch.maximum(u + sign * width, low), high)
            moved = torch.where(u * sign < 0, u, moved)  # no way back, or two moves may alternate
            chosen, worth = self._choose(oracle, u, moved - u, gain, rest)
            better = worth > best
            new = put(better, torch.where(chosen, moved, u), new)
            best = torch.where(better, worth, best)
        return new, best <= 0

    def _choose(
        self, oracle: Gradients[Places], u: Tensor, d: Tensor, gain: Tensor, rest: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(B, *P) bool, the values to move by d, and (B,) what that is worth."""
        threat, x = oracle.threat, oracle.x
        a, b = flat(threat.gather(gain * d)), flat(threat.gather(rest * d))
        fresh = flat(threat.gather(u.abs())) == 0
        left = radii(threat, x) - threat.size(x, u)
        able = flat(threat.gather(d.abs())) > 0
        choice, worth = _best(a, b, able, fresh, left, self.pair)
        places = torch.zeros_like(able).scatter_(1, choice, True)
        return threat.spread(places.view(threat.gather(x).shape), x), worth


def _best(
    a: Tensor, b: Tensor, able: Tensor, fresh: Tensor, left: Tensor, pair: bool
) -> tuple[Tensor, Tensor]:
    """(B, 2) the places of largest a · |b|, a single one twice, and (B,) what they are worth.

    a, b: (B, n). able: places that can move. fresh: those that have not, of which ``left`` may.
    """
    free = able & (~fresh | (left >= 1)[:, None])
    worth, one = _worth(a, b).masked_fill(~free, 0).max(1)
    choice = torch.stack([one, one], 1)
    if not pair:
        return choice, worth
    few = _candidates(a, -b, [free & fresh, free & ~fresh])
    a, b, free, cost = (t.gather(1, few) for t in (a, b, free, fresh.to(torch.int8)))
    both = (
        free[:, :, None]
        & free[:, None]
        & (cost[:, :, None] + cost[:, None] <= like(left, few)[..., None])
    )
    value = _worth(a[:, :, None] + a[:, None], b[:, :, None] + b[:, None]).masked_fill(~both, 0)
    value.diagonal(dim1=1, dim2=2).zero_()
    top, where = value.flatten(1).max(1)
    n = few.shape[1]
    two = few.gather(1, torch.stack([where // n, where % n], 1))
    better = top > worth
    return put(better, two, choice), torch.where(better, top, worth)


def _candidates(a: Tensor, c: Tensor, groups: list[Tensor]) -> Tensor:
    """(B, k) places among which the best pair of each group and across groups is.

    (a_p + a_q)(c_p + c_q) grows with either sum, so neither place of the best pair has more than
    one other, its partner, that is better in both: it is on the first or the second Pareto front.
    Rows with fewer candidates are filled up with places of no use.
    """
    on = torch.zeros_like(groups[0])
    for group in groups:
        first = _front(a, c, group)
        on = on | first | _front(a, c, group & ~first)
    most = max(1, int(on.sum(1).max()))
    return on.to(torch.int8).sort(dim=1, descending=True, stable=True).indices[:, :most]


def _front(a: Tensor, c: Tensor, group: Tensor) -> Tensor:
    """(B, n) bool, members of the group that no other matches in a and exceeds in c, or reverse."""
    a, c = (t.masked_fill(~group, -torch.inf) for t in (a, c))
    order = c.sort(dim=1, descending=True, stable=True).indices
    order = order.gather(1, a.gather(1, order).sort(dim=1, descending=True, stable=True).indices)
    ranked = c.gather(1, order)
    before = torch.cat([torch.full_like(ranked[:, :1], -torch.inf), ranked.cummax(1).values], 1)
    return torch.zeros_like(group).scatter_(1, order, ranked > before[:, :-1])


def _worth(a: Tensor, b: Tensor) -> Tensor:
    """A · |b| where a > 0 > b, else 0."""
    return a.clamp(min=0) * (-b).clamp(min=0)
