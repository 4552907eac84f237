"""The inner maximum: from a batch to the worst inputs an attack finds around it."""

import contextlib
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from saddlepoint.core.access import Attack, check_fit
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Exhausted, Invalid
from saddlepoint.core.goal import Goal, as_goal
from saddlepoint.core.loss import Loss, as_loss
from saddlepoint.core.shapes import put
from saddlepoint.core.target import Target
from saddlepoint.core.threat import ThreatModel
from saddlepoint.train.known import Known
from saddlepoint.train.lean import Keep, Lean, evaluating, widen, without_graph
from saddlepoint.train.norms import affine_norms

__all__ = ["Adversary", "Inner", "Worst"]


class Worst(Protocol):
    """What a ``RobustLoss`` asks for the worst inputs: (model, x, y) -> x_adv."""

    @property
    def threat(self) -> ThreatModel:
        """The set, for objectives that move in it themselves (free training)."""
        ...

    @property
    def draw(self) -> Draw:
        """Randomness of seed, samples and epoch, for objectives that need some of their own."""
        ...

    @property
    def memory(self) -> dict[str, Any]:
        """What an objective carries from one step to the next; empty at the start of an epoch."""
        ...

    @property
    def share(self) -> float:
        """Share of the plan's radius that the set has in this step: 1 once the ramp is over."""
        ...

    def first(self, rows: int) -> "Worst":
        """What answers for the first rows of the batch."""
        ...

    def __call__(
        self, model: nn.Module, x: Tensor, y: Tensor | Goal, loss: Loss | str | None = None, /
    ) -> Tensor:
        """Map x (B, *F) and labels y (B,), or a goal, to x_adv (B, *F), without a graph.

        loss: what the search climbs, where an objective has its own idea of worst (TRADES: KL).
        """
        ...


@dataclass(frozen=True)
class Inner:
    """x_adv = apply(x, u*), u* the point of threat(x) that ``attack`` is left with.

    threat, attack: the adversary trained against. loss: what the attack climbs, unless it has a
    loss of its own, and what tells which point is worst (None: cross-entropy). keep: ``worst`` of
    the points seen, or ``last``, one pass cheaper (see ``Lean``). target: the class that it wants
    of inputs with labels; those of that class stay as they are. The precision is that of the
    autocast around the call.

    The model is in eval mode while it is asked, so that a batch does not pollute its running
    statistics, and is put back afterwards; gradients are taken with respect to the input only. A
    sample is not left at its first break: training wants the worst point, not a bad one. Raises
    what the attack raises: training on inputs of a broken attack would look like success. Source:
    the inner problem of 1706.06083, eq. 2.1.

    >>> from saddlepoint import PGD, Linf
    >>> worst = Inner(Linf(eps=0.1), PGD(steps=3))
    >>> x = torch.full((4, 2), 0.5)
    >>> x_adv = worst(nn.Linear(2, 2), x, torch.zeros(4).long())
    >>> {round(v, 3) for v in (x_adv - x).abs().flatten().tolist()}
    {0.1}
    """

    threat: ThreatModel
    attack: Attack[Any]
    loss: Loss | str | None = None
    keep: Keep = "worst"
    target: Target | None = None

    def __post_init__(self) -> None:
        check_fit(self.attack, self.threat, "gradients")
        if self.keep not in ("worst", "last"):
            raise Invalid("keep", self.keep, "'worst' or 'last'")

    def __call__(
        self,
        model: nn.Module,
        x: Tensor,
        y: Tensor | Goal,
        loss: Loss | str | None = None,
        /,
        draw: Draw | None = None,
    ) -> Tensor:
        """Return x_adv (B, *F); all randomness comes from ``draw`` (None: seed 0, ids 0 … B-1)."""
        draw = draw or Draw.of(0, torch.arange(len(x), device=x.device))
        climb, threat = self.loss if loss is None else loss, _placed(self.threat, draw)
        with evaluating(model), affine_norms(model):
            goal, free = self._goal(model, x, y)
            lean = Lean(
                model,
                x,
                goal,
                threat,
                loss=None if climb is None else as_loss(climb),
                keep=self.keep,
            )
            with contextlib.suppress(Exhausted):  # the attack's own way to end early
                self.attack(lean, draw)
            u = lean.kept if free is None else put(free, lean.kept, threat.start(x))
            return threat.apply(x, u).detach()

    def _goal(self, model: nn.Module, x: Tensor, y: Tensor | Goal) -> tuple[Goal, Tensor | None]:
        """Return the goal, and (B,) bool which rows can be moved to their target (None: all)."""
        if self.target is None or not isinstance(y, Tensor):
            return as_goal(y), None
        with without_graph(x.device.type):
            scores = widen(model(x))
        goal = self.target.goal(torch.arange(len(x)), y, scores)
        return goal, goal.label != y


def _placed(threat: ThreatModel, draw: Draw) -> ThreatModel:
    """Give the samples random places in a set that has some: others for each draw."""
    if not hasattr(threat, "redrawn"):
        return threat
    return threat[draw.tag("place").integers(1 << 24, 1)[:, 0]]


@dataclass(frozen=True, eq=False)
class Adversary:
    """The ``Worst`` of one batch: ``inner``, with the randomness bound to seed, samples and step.

    bare: asked in place of the model that averages gradients between processes, which a search
    must not wake. share: of the radius, by the plan's ramp.
    """

    inner: Inner
    draw: Draw
    bare: nn.Module
    wrapped: nn.Module
    memory: dict[str, Any] = field(default_factory=dict)
    share: float = 1.0

    @property
    def threat(self) -> ThreatModel:
        """The set, with the places of this draw."""
        return _placed(self.inner.threat, self.draw)

    def first(self, rows: int) -> "Adversary":
        """Return the same for the first rows of the batch."""
        return replace(self, draw=self.draw[torch.arange(rows, device=self.draw.ids.device)])

    def __call__(
        self, model: nn.Module, x: Tensor, y: Tensor | Goal, loss: Loss | str | None = None, /
    ) -> Tensor:
        """Return x_adv (B, *F)."""
        asked = self.bare if model is self.wrapped else model
        if isinstance(y, Tensor) and self.inner.target is None:
            y = Known(y)
        return self.inner(asked, x, y, loss, draw=self.draw)
