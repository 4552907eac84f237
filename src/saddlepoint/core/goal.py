"""What counts as a break: misclassify, or reach a target class."""

from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import torch
from torch import Tensor

from saddlepoint.core.errors import Invalid

__all__ = ["Confident", "Goal", "Labelled", "Targeted", "Untargeted", "as_goal", "read"]


class Goal(Protocol):
    """What the adversary wants of the model's output."""

    def margin(self, out: Any) -> Tensor:  # noqa: ANN401 - whatever the model returns
        """(B,), > 0 exactly where the sample is broken."""
        ...

    def __getitem__(self, keep: Tensor) -> Self:
        """Return the goal of the sub-batch."""
        ...


class Labelled(Goal, Protocol):
    """A goal about class scores: ``sign`` is +1 to leave ``label`` and -1 to reach it."""

    @property
    def label(self) -> Tensor:
        """(B,) int64: the class that the goal is about."""
        ...

    @property
    def sign(self) -> int:
        """+1 when the adversary wants to leave ``label``, -1 when it wants to reach it."""
        ...


def best_other(out: Tensor, label: Tensor) -> Tensor:
    """Largest score among the classes other than ``label``, (B,)."""
    return hide(out, label).amax(1)


def hide(out: Tensor, label: Tensor) -> Tensor:
    """(B, K) scores with that of ``label`` at minus infinity."""
    return out.scatter(1, label[:, None], -torch.inf)


def check_index(name: str, label: Tensor, values: bool = True) -> Tensor:
    """Return class indices as int64; raises ``Invalid`` for what is no index per sample.

    values: whether to look for negative ones, which waits for a GPU.
    """
    if label.dim() != 1:
        several = label.dim() == 2 and label.shape[1] > 1
        hint = f"of one-hot rows, {name}.argmax(1)" if several else ""
        shape = f"<shape {tuple(label.shape)}>"
        raise Invalid(name, shape, "one class index per sample, shape (B,)", hint)
    if label.is_floating_point() or label.is_complex() or label.dtype == torch.bool:
        raise Invalid(name, f"<dtype {label.dtype}>", "whole numbers (int64)")
    if values and label.numel() and int(label.min()) < 0:
        raise Invalid(name, int(label.min()), "class indices in 0 … K-1")
    return label.to(torch.int64)


def score_of(out: Tensor, label: Tensor) -> Tensor:
    """Score of the class ``label``, (B,)."""
    return out.gather(1, label[:, None]).squeeze(1)


@dataclass(frozen=True, eq=False)
class Untargeted:
    """Any class but the label: margin = max_{i != y} z_i - z_y. A tie is not a break.

    >>> Untargeted(torch.tensor([0])).margin(torch.tensor([[2.0, 5.0, 1.0]]))
    tensor([3.])
    """

    label: Tensor
    sign = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", check_index("y", self.label))

    def margin(self, out: Tensor) -> Tensor:
        """(B,), > 0 where another class scores above the label."""
        return best_other(out, self.label) - score_of(out, self.label)

    def __getitem__(self, keep: Tensor) -> Self:
        return replace(self, label=self.label[keep])


@dataclass(frozen=True, eq=False)
class Targeted:
    """Reach class t: margin = z_t - max_{i != t} z_i.

    label: (B,) int64, the class t of each sample.
    source: (B,) int64 or None, the class to leave where the loss asks for one (targeted DLR).

    >>> Targeted(torch.tensor([2])).margin(torch.tensor([[2.0, 5.0, 1.0]]))
    tensor([-4.])
    """

    label: Tensor
    source: Tensor | None = None
    sign = -1

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", check_index("target", self.label))
        if self.source is not None:
            object.__setattr__(self, "source", check_index("source", self.source))
            if len(self.source) != len(self.label):
                raise Invalid("source", f"<{len(self.source)} classes>", "one for each target")

    def margin(self, out: Tensor) -> Tensor:
        """(B,), > 0 where the target scores above every other class."""
        return score_of(out, self.label) - best_other(out, self.label)

    def __getitem__(self, keep: Tensor) -> "Targeted":
        source = None if self.source is None else self.source[keep]
        return replace(self, label=self.label[keep], source=source)


@dataclass(frozen=True, eq=False)
class Confident:
    """Reach a goal by more than ``kappa``: margin = that of the goal - kappa (1608.04644, §VI-A).

    Names no class, so that losses of classes, which know of no kappa, are not climbed for it.

    >>> goal = Confident(Untargeted(torch.tensor([0])), kappa=2.0)
    >>> goal.margin(torch.tensor([[2.0, 5.0, 1.0]]))
    tensor([1.])
    """

    goal: Goal
    kappa: float

    def __post_init__(self) -> None:
        number = isinstance(self.kappa, int | float) and not isinstance(self.kappa, bool)
        if not number or not 0 <= self.kappa < float("inf"):
            raise Invalid("kappa", self.kappa, "a finite number of at least 0")

    def margin(self, out: Any) -> Tensor:  # noqa: ANN401
        """(B,), > 0 where the goal's own margin is above kappa."""
        return self.goal.margin(out) - self.kappa

    def __getitem__(self, keep: Tensor) -> "Confident":
        return replace(self, goal=self.goal[keep])


def as_goal(goal: Tensor | Goal) -> Goal:
    """Labels stand for the untargeted goal; anything with a margin is taken as it is.

    >>> as_goal(torch.tensor([1, 0])).label
    tensor([1, 0])
    """
    if isinstance(goal, Tensor):
        return Untargeted(goal)
    if not hasattr(goal, "margin"):
        allowed = "labels (int64 tensor) or an object with margin"
        raise Invalid("goal", type(goal).__name__, allowed, "torch.as_tensor makes a tensor of it")
    return goal


def read(out: Tensor, goal: Goal) -> Tensor:
    """(B, K) scores of the classes as ``goal`` sees them: ``out``, unless the goal reads it anew.

    >>> read(torch.zeros(1, 3), Untargeted(torch.tensor([0]))).shape
    torch.Size([1, 3])
    """
    reader = getattr(goal, "read", None)
    return out if reader is None else reader(out)
