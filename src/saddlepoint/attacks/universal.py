"""Universal perturbations: one u for many inputs, climbed by the mean of their gradients."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from saddlepoint.attacks.transform import Momentum
from saddlepoint.core.access import Gradients
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid, Unsupported
from saddlepoint.core.loss import Loss, check_loss
from saddlepoint.core.shapes import like
from saddlepoint.core.spec import compact
from saddlepoint.core.threat import ThreatModel, parametric, scattered
from saddlepoint.core.whole import require_whole

__all__ = ["Universal", "shared_set"]


@dataclass(frozen=True, repr=False)
class Universal:
    """u <- project(u + step · steepest(mean_i g_i)), g_i of min(loss_i, clip) at u cut to x_i.

    One u for all inputs (1610.08401), found by ascent of the mean loss on minibatches, as the
    adversarial patch is (1712.09665); losses are clipped so that samples which are lost already
    pull no more (1811.11304, section 4). u is kept in the set itself, the input range aside, and
    each input gets the member of its own set that is nearest to u: for a ball x + u cut to the
    range, for a patch the same content.

    epochs, batch_size: passes over the samples, and inputs per step. reach: length of the first
    step in radii; steps fall along a cosine to a hundredth of it. clip: of the loss. momentum:
    decay of earlier mean gradients. loss: what is climbed; cross-entropy unless it says otherwise.

    >>> Universal(epochs=5)
    Universal(epochs=5)
    """

    epochs: int = 10
    batch_size: int = 128
    reach: float = 0.3
    clip: float = 5.0
    momentum: float = 0.75
    loss: Loss | str | None = None

    __repr__ = compact

    def __post_init__(self) -> None:
        require_whole("epochs", self.epochs)
        require_whole("batch_size", self.batch_size)
        check_loss(self.loss)
        Momentum(self.momentum)  # refuses what is no decay
        if not 0 < self.reach < math.inf:
            raise Invalid("reach", self.reach, "a positive number of radii")
        if not isinstance(self.clip, int | float) or math.isnan(self.clip):
            raise Invalid("clip", self.clip, "a loss beyond which a sample counts as lost, or inf")

    def begin(self, threat: ThreatModel, x: Tensor, draw: Draw) -> Tensor:
        """Draw the first u (1, *P), a random member for inputs like x (B, *F)."""
        one = torch.zeros(1, dtype=torch.int64, device=x.device)
        return shared_set(threat[one]).sample(_middle(threat, x), draw)

    def step(self, done: float) -> float:
        """Length of a step in radii once a share ``done`` of all steps lies behind."""
        return self.reach * (0.01 + 0.495 * (1 + math.cos(math.pi * done)))

    def __call__(
        self, oracle: Gradients[ThreatModel], u: Tensor, state: Tensor | None, done: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Take one step on the rows of ``oracle``; return u, what is remembered, and (B,) losses.

        oracle: of the set of these rows, in which no row may be closed.
        """
        oracle = oracle.aim(self.loss)
        each = oracle.threat.project(oracle.x, u.expand(len(oracle.x), *u.shape[1:]))
        value, g = oracle.value_and_grad(each)
        pulls = (value < self.clip) & value.isfinite()
        g = torch.where(like(pulls, g), g, 0).mean(0, keepdim=True)
        g = remembered = Momentum(self.momentum)(g, state)[0]
        one = torch.zeros(1, dtype=torch.int64, device=u.device)
        around, x = shared_set(oracle.threat[one]), _middle(oracle.threat, oracle.x)
        moved = u + around.steepest(x, u, g) * self.step(done)
        return around.project(x, moved), remembered, value


def shared_set(threat: ThreatModel) -> ThreatModel:
    """Return the set that a shared u lies in: without the input range, where u is a change.

    Raises ``Unsupported`` where no u means the same for all inputs.

    >>> from saddlepoint.threats import Linf
    >>> shared_set(Linf(eps=0.5))
    Linf(eps=0.5, box=(-inf, inf))
    """
    if isinstance(getattr(threat, "eps", None), Tensor):
        raise Unsupported("a universal perturbation needs one size for all samples")
    if scattered(threat):
        raise Unsupported(
            f"{threat!r}: a universal perturbation cannot choose another place for each input; "
            "give it a place, or at='random' for one that works at many"
        )
    if parametric(threat):
        return threat
    free: Any = threat
    try:
        return dataclasses.replace(free, box=(-math.inf, math.inf))  # type: ignore[no-any-return]
    except (Invalid, TypeError):  # a set that needs the range, or takes none
        return threat


def _middle(threat: ThreatModel, x: Tensor) -> Tensor:
    """(1, *F) the input in the middle of the range, around which a shared u is judged."""
    low, high = getattr(threat, "box", (0.0, 1.0))
    middle = (low + high) / 2 if math.isfinite(high - low) else 0.0
    return torch.full_like(x[:1], middle)
