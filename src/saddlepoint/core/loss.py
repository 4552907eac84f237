"""Per-sample losses that an adversary maximises: (out, goal) -> (B,). All hold from K = 2 on."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.nn import functional

from saddlepoint.core.errors import Invalid, Unsupported, closest
from saddlepoint.core.goal import (
    Goal,
    Labelled,
    Targeted,
    Untargeted,
    best_other,
    hide,
    read,
    score_of,
)
from saddlepoint.core.spec import compact

__all__ = [
    "DLR",
    "LOSSES",
    "CrossEntropy",
    "Loss",
    "Margin",
    "ProbabilityMargin",
    "Unaware",
    "as_loss",
    "check_loss",
]

Loss = Callable[[Any, Goal], Tensor]
"""Scores (B, K) and a goal to (B,), to be maximised."""


def _labelled(goal: Goal, loss: str) -> Labelled:
    if not hasattr(goal, "label"):
        raise Unsupported(
            f"{loss} needs a goal with class labels, not {type(goal).__name__}: use Margin()"
        )
    return goal  # type: ignore[return-value]


def _odds(out: Tensor, label: Tensor) -> Tensor:
    """(B,) log p_k / (1 - p_k) of the class ``label``.

    Probabilities are functions of it whose gradients keep every class: the gradient of a softmax
    loses the label's own share, 1 - p_y, to rounding once float32 calls p_y one (margins above 16).
    """
    return score_of(out, label) - hide(out, label).logsumexp(1)


@dataclass(frozen=True)
class CrossEntropy:
    """-log p_y to leave class y; log p_t to reach class t (1412.6572).

    >>> import torch
    >>> from saddlepoint.core.goal import Untargeted
    >>> CrossEntropy()(torch.zeros(1, 2), Untargeted(torch.tensor([0])))
    tensor([0.6931])
    """

    def __call__(self, out: Tensor, goal: Goal) -> Tensor:
        """Return (B,); its gradient underflows where the model is very sure."""
        g = _labelled(goal, "CrossEntropy")
        return g.sign * functional.softplus(-_odds(read(out, goal), g.label))


@dataclass(frozen=True)
class Margin:
    """The goal's own margin in logits (1608.04644, f6): > 0 exactly where broken.

    >>> import torch
    >>> from saddlepoint.core.goal import Untargeted
    >>> Margin()(torch.tensor([[1.0, 3.0]]), Untargeted(torch.tensor([0])))
    tensor([2.])
    """

    def __call__(self, out: Any, goal: Goal) -> Tensor:  # noqa: ANN401
        """Return (B,)."""
        return goal.margin(out)


@dataclass(frozen=True)
class ProbabilityMargin:
    """The goal's margin of probabilities, max_{i != y} p_i - p_y (2411.15210).

    >>> import torch
    >>> from saddlepoint.core.goal import Untargeted
    >>> ProbabilityMargin()(torch.zeros(1, 2), Untargeted(torch.tensor([0])))
    tensor([0.])
    """

    def __call__(self, out: Tensor, goal: Goal) -> Tensor:
        """Return (B,) in [-1, 1]."""
        g, out = _labelled(goal, "ProbabilityMargin"), read(out, goal)
        rival = hide(out, g.label).argmax(1)
        win, lose = (rival, g.label) if g.sign > 0 else (g.label, rival)
        # p_win - p_lose, with 1 - p_lose in place of p_lose where the model is sure of it.
        return _odds(out, win).sigmoid() + (-_odds(out, lose)).sigmoid() - 1


@dataclass(frozen=True)
class DLR:
    """Difference of logits ratio (2003.01690, eq. 6 and 7): the margin, free of logit scale.

    Untargeted -(z_y - max_{i != y} z_i) / (z_1 - z_3) with z_1 >= z_2 >= … the sorted logits;
    targeted -(z_y - z_t) / (z_1 - (z_3 + z_4) / 2), where z_y is the class to leave, or the best
    class besides t where the goal names none. With too few classes for the ratio (3 and 4) it is
    the margin itself.

    >>> import torch
    >>> from saddlepoint.core.goal import Untargeted
    >>> DLR()(torch.tensor([[4.0, 2.0, 0.0]]), Untargeted(torch.tensor([0])))
    tensor([-0.5000])
    """

    def __call__(self, out: Tensor, goal: Goal) -> Tensor:
        """Return (B,)."""
        g = _labelled(goal, "DLR")
        targeted = g.sign < 0
        leave = _leave(out, goal) if isinstance(goal, Targeted) else None
        margin = goal.margin(out) if leave is None else score_of(out, g.label) - leave
        out = read(out, goal)
        if out.shape[1] < (4 if targeted else 3):
            return margin
        top = out.topk(4 if targeted else 3, dim=1).values
        spread = top[:, 0] - (top[:, 2:].mean(1) if targeted else top[:, 2])
        return margin / (spread + 1e-12)


def _leave(out: Tensor, goal: Targeted) -> Tensor:
    return best_other(out, goal.label) if goal.source is None else score_of(out, goal.source)


@dataclass(frozen=True, repr=False)
class Unaware:
    """A loss of the classes alone, by an attacker who does not know that inputs may be rejected.

    What the evaluations of many detectors have climbed (the zero-knowledge attacker of 1705.07263);
    no goal but that of a rejecting model sees a difference. The losses themselves fool classifier
    and detector at once.

    >>> import torch
    >>> from saddlepoint.core.detected import Undetected
    >>> out, goal = torch.tensor([[0.0, 3.0, 9.0]]), Undetected(torch.tensor([0]))
    >>> Unaware("margin")(out, goal), Margin()(out, goal)
    (tensor([3.]), tensor([-6.]))
    """

    loss: Loss | str = "cross-entropy"

    __repr__ = compact

    def __post_init__(self) -> None:
        check_loss(self.loss)

    def __call__(self, out: Tensor, goal: Goal) -> Tensor:
        """Return (B,)."""
        loss = as_loss(self.loss)
        if not hasattr(goal, "read"):
            return loss(out, goal)
        return loss(out[:, :-1], Untargeted(_labelled(goal, "Unaware").label))


LOSSES: dict[str, Loss] = {
    "cross-entropy": CrossEntropy(),
    "margin": Margin(),
    "probability-margin": ProbabilityMargin(),
    "dlr": DLR(),
}
"""By the names that attacks, plans and the command line take."""


def as_loss(loss: Loss | str) -> Loss:
    """Turn a name into its loss; a callable passes through.

    >>> as_loss("dlr")
    DLR()
    """
    if isinstance(loss, str):
        if loss not in LOSSES:
            raise Invalid("loss", loss, "the name of a loss", closest(loss, LOSSES))
        return LOSSES[loss]
    if not callable(loss):
        raise Invalid("loss", loss, "a loss or its name", closest(str(loss), LOSSES))
    return loss


def check_loss(loss: Loss | str | None) -> None:
    """Raise ``Invalid`` for an attack's ``loss`` that is neither None, a loss nor a known name."""
    if loss is not None:
        as_loss(loss)
