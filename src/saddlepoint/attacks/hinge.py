"""What the attacks of Carlini and Wagner share: a penalty, a hinge, and a constant in between."""

from dataclasses import dataclass, fields, replace
from typing import Any, Protocol, Self

import torch
from torch import Tensor

from saddlepoint.attacks.adam import Adam
from saddlepoint.attacks.boundary import RANGE
from saddlepoint.core.access import Gradients
from saddlepoint.core.shapes import INF, dot, like, put
from saddlepoint.core.threat import Graded

__all__ = ["LAST", "RAISE", "Euclid", "Excess", "Penalty", "State", "descend", "opening"]

_TINY = 1e-30
LAST = 0.01  # share of the first step that the last one is
RAISE = 10.0  # factor of a constant while none has been enough


class Penalty(Protocol):
    """What is weighed against the hinge."""

    def size(self, threat: Graded, x: Tensor, u: Tensor) -> Tensor:
        """(B,) the measure by which one break is closer than another."""
        ...

    def slope(self, threat: Graded, x: Tensor, u: Tensor, known: Tensor, done: float) -> Tensor:
        """(B, *P) gradient at u; known: (B,) the smallest size of a break so far."""
        ...


class Euclid:
    """||u||^2 / 2."""

    def size(self, threat: Graded, x: Tensor, u: Tensor) -> Tensor:
        """(B,) the Euclidean length of u."""
        return dot(u, u).sqrt()

    def slope(self, threat: Graded, x: Tensor, u: Tensor, known: Tensor, done: float) -> Tensor:
        """U itself."""
        return u


class Excess:
    """d(u, set of size tau)^2 / 2, tau a little below the closest break so far.

    done: share of the steps taken; tau falls short by a tenth at first, by a 200th at last.
    """

    def size(self, threat: Graded, x: Tensor, u: Tensor) -> Tensor:
        """(B,) the set's own measure."""
        return threat.size(x, u)

    def slope(self, threat: Graded, x: Tensor, u: Tensor, known: Tensor, done: float) -> Tensor:
        """U less the nearest point of size tau."""
        tau = known.clamp(max=RANGE) * (1 - 0.1 * 0.05**done)
        return u - threat.at(tau).project(x, u)


@dataclass
class State:
    """What is known of each row; ``state[keep]`` is the state of a sub-batch.

    u, size: the closest point so far past the hinge; the start, and infinity, while there is none.
    c: the constant to try next; low, high: the largest that failed, the smallest that was enough.
    unit: (B,) how far along the gradient at x a linear model would break, in gradients; reach: that
    in length. free: (B, *P) 1 for what may change, 0 elsewhere; None: all.
    """

    u: Tensor
    size: Tensor
    c: Tensor
    low: Tensor
    high: Tensor
    unit: Tensor
    reach: Tensor
    free: Tensor | None = None

    def __getitem__(self, keep: Tensor) -> Self:
        every = {f.name: getattr(self, f.name) for f in fields(self)}
        kept: dict[str, Any] = {k: v if v is None else v[keep] for k, v in every.items()}
        return replace(self, **kept)

    def see(self, u: Tensor, size: Tensor, past: Tensor) -> None:
        """Take in a point, its size, and whether it is past the hinge."""
        closer = past & (size < self.size)
        self.u, self.size = put(closer, u, self.u), torch.where(closer, size, self.size)

    def tune(self, won: Tensor) -> None:
        """Bisect c between what failed and what was enough; ten times as much while nothing was."""
        self.low = torch.where(won, self.low, self.c)
        self.high = torch.where(won, self.c, self.high)
        middle = (self.low + self.high) / 2
        self.c = torch.where(self.high.isfinite(), middle, RAISE * self.low)


def opening(oracle: Gradients[Graded], kappa: float) -> State:
    """Return the state at x, with a c that would do if the value were linear and x far inside.

    There u = c g closes the gap to kappa, g the gradient, and the two terms are in balance.
    """
    u = oracle.threat.start(oracle.x)
    value, g = oracle.value_and_grad(u)
    gap = (kappa - value).nan_to_num(0, 0, 0).clamp(min=_TINY)
    slope = dot(g, g).nan_to_num(0, 0, 0).clamp(min=_TINY)
    whole, none = oracle.threat.at(RANGE), torch.full_like(gap, INF)
    width = whole.project(oracle.x, u + RANGE) - whole.project(oracle.x, u - RANGE)
    reach = torch.minimum(gap / slope.sqrt(), dot(width, width).sqrt())
    c = (gap / slope).clamp(max=1 / _TINY)
    return State(u, none, c, torch.zeros_like(c), none, c, reach)


def descend(
    oracle: Gradients[Graded],
    s: State,
    penalty: Penalty,
    kappa: float,
    steps: int,
    step_size: float,
) -> Tensor:
    """(B,) bool whether c was enough: minimise penalty(u) + c · max(kappa - value, 0) by Adam.

    Begins at ``s.u`` and leaves the closest point there. Enough is a c that still has u past the
    hinge in the second half: that the start is says nothing of c. Steps fall geometrically; after
    each u is cut to the input range.
    """
    x, whole = oracle.x, oracle.threat.at(RANGE)
    u, adam, won = s.u, Adam.like(s.u), torch.zeros_like(s.c, dtype=torch.bool)
    a = step_size * torch.minimum(s.reach, s.size)
    for k in range(steps):
        value, g = oracle.value_and_grad(u)
        past = value > kappa
        s.see(u, penalty.size(oracle.threat, x, u), past)
        won = won | past if 2 * k >= steps else won
        done = k / max(1, steps - 1)
        pull = penalty.slope(oracle.threat, x, u, s.size, done)
        adam, d = adam.step(pull - like(torch.where(past, 0, s.c), g) * g)
        d = d if s.free is None else d * s.free
        u = whole.project(x, u - like(a * LAST**done, u) * d)
    return won
