"""Auto-PGD: projected ascent with momentum that halves its own step and returns to its best."""

from dataclasses import dataclass, fields, replace
from typing import Self

import torch
from torch import Tensor

from saddlepoint.core.access import Gradients
from saddlepoint.core.draw import Draw
from saddlepoint.core.loss import Loss, check_loss
from saddlepoint.core.shapes import like, put
from saddlepoint.core.spec import compact
from saddlepoint.core.threat import ThreatModel
from saddlepoint.core.whole import require_whole

__all__ = ["APGD"]

_INERTIA = 0.75  # share of the new step; the rest repeats the last one (eq. 3)
_SUCCESS = 0.75  # share of steps in a window that must have raised the loss (condition 1)


def windows(steps: int) -> list[int]:
    """Steps at which the step size is judged: p_{j+1} = p_j + max(p_j - p_{j-1} - .03, .06).

    >>> windows(100)
    [22, 41, 57, 70, 80, 87, 93, 99]
    """
    ends, length = [0], max(int(0.22 * steps), 1)
    while ends[-1] + length <= steps:
        ends.append(ends[-1] + length)
        length = max(length - max(int(0.03 * steps), 1), int(0.06 * steps), 1)
    return ends[1:]


@dataclass
class State:
    """What APGD remembers per row; ``state[keep]`` is the state of a sub-batch."""

    u: Tensor
    before: Tensor
    g: Tensor
    best: Tensor
    best_g: Tensor
    top: Tensor
    value: Tensor
    step: Tensor
    raised: Tensor
    top_then: Tensor
    halved: Tensor

    def __getitem__(self, keep: Tensor) -> Self:
        return replace(self, **{f.name: getattr(self, f.name)[keep] for f in fields(self)})

    def see(self, u: Tensor, value: Tensor, g: Tensor) -> None:
        """Take in a new iterate."""
        self.raised = self.raised + (value > self.value)
        better = value > self.top
        self.best, self.best_g = put(better, u, self.best), put(better, g, self.best_g)
        self.top = torch.where(better, value, self.top)
        self.before, self.u, self.value, self.g = self.u, u, value, g

    def judge(self, window: int) -> None:
        """Halve the step of rows that stalled, and send them back to their best point."""
        stuck = ~self.halved & (self.top <= self.top_then)
        halve = (self.raised < _SUCCESS * window) | stuck
        self.step = torch.where(halve, self.step / 2, self.step)
        self.u, self.g = put(halve, self.best, self.u), put(halve, self.best_g, self.g)
        self.before = put(halve, self.u, self.before)
        self.value = torch.where(halve, self.top, self.value)
        self.halved, self.top_then = halve, self.top
        self.raised = torch.zeros_like(self.raised)


@dataclass(frozen=True, repr=False)
class APGD:
    """z = P(u + step · steepest(g)); u <- P(u + .75 (z - u) + .25 (u - u_before)) (2003.01690, §3).

    The step starts at two radii and is halved, per sample, at checkpoints where fewer than 75 % of
    the window's steps raised the loss, or where the best loss has not moved since a checkpoint that
    left the step alone; the search then goes on from its best point. steps: gradients per run.
    loss: what to climb; None takes the search's.

    >>> APGD(loss="dlr")
    APGD(loss='dlr')
    """

    steps: int = 100
    loss: Loss | str | None = None

    __repr__ = compact

    def __post_init__(self) -> None:
        require_whole("steps", self.steps)
        check_loss(self.loss)

    def __call__(self, oracle: Gradients[ThreatModel], draw: Draw) -> None:
        """Climb from one random start."""
        oracle = oracle.aim(self.loss)
        s = _begin(oracle, oracle.threat.sample(oracle.x, draw))
        checkpoints, last = windows(self.steps), 0
        for k in range(1, self.steps):
            oracle, s = oracle.shrink(s)
            u = _move(oracle, s, first=k == 1)
            s.see(u, *oracle.value_and_grad(u))
            if k in checkpoints:
                s.judge(k - last)
                last = k
        oracle, s = oracle.shrink(s)
        oracle.value(_move(oracle, s, first=self.steps == 1))


def _begin(oracle: Gradients[ThreatModel], u: Tensor) -> State:
    value, g = oracle.value_and_grad(u)
    zero = torch.zeros_like(value)
    two, no = torch.full_like(value, 2.0), torch.zeros_like(value, dtype=torch.bool)
    # The first checkpoint may not call the best loss stuck: nothing was halved before it.
    return State(u, u, g, u, g, value, value, two, zero, torch.full_like(value, -torch.inf), ~no)


def _move(oracle: Gradients[ThreatModel], s: State, first: bool) -> Tensor:
    x, threat = oracle.x, oracle.threat
    z = threat.project(x, s.u + threat.steepest(x, s.u, s.g) * like(s.step, s.u))
    if first:
        return z
    return threat.project(x, s.u + _INERTIA * (z - s.u) + (1 - _INERTIA) * (s.u - s.before))
