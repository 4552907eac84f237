"""What oracles share: another objective on the same rows."""

import copy
from typing import Any, Self

from torch import Tensor

from saddlepoint.core.goal import Goal
from saddlepoint.core.loss import Loss, as_loss

__all__ = ["Aiming"]


class Aiming:
    """Rows of a batch with a loss to climb and the goal that it reads."""

    x: Tensor
    threat: Any
    _loss: Loss
    _aim: Goal
    _roams = False
    _idle: Tensor | None = None

    def aim(self, loss: Loss | str | None = None, goal: Goal | None = None) -> Self:
        """Return the same rows and the same memory, with another objective to climb."""
        view = copy.copy(self)
        view._loss = self._loss if loss is None else as_loss(loss)
        view._aim = self._aim if goal is None else goal
        return view

    def _worth(self, out: Any, u: Tensor) -> Tensor:  # noqa: ANN401 - whatever the model returns
        """(B,) what is climbed at u: the loss, less what u costs in a set that puts a price on it.

        The price steers a search; whether a point is a break is for the goal alone.
        """
        value = self._loss(out, self._aim)
        price = getattr(self.threat, "penalty", None)
        return value if price is None else value - price(self.x, u)

    def roam(self) -> Self:
        """Return the same rows and the same memory, which takes in members of the set only."""
        view = copy.copy(self)
        view._roams = True
        return view

    def rest(self, idle: Tensor) -> Self:
        """Return the same rows and the same memory, where rows marked ``idle`` are not asked."""
        view = copy.copy(self)
        view._idle = idle if self._idle is None else idle | self._idle
        return view
