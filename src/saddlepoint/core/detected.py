"""Models that may refuse an answer, and what it takes to break them."""

from dataclasses import dataclass, replace

from torch import Tensor

from saddlepoint.core.errors import Unsupported
from saddlepoint.core.goal import Goal, Targeted, Untargeted, as_goal, check_index, score_of

__all__ = ["Undetected", "against", "meant", "refuse_rejecting", "rejects", "wanted"]


def rejects(model: object) -> bool:
    """Whether the last score of ``model`` means "rejected", as its attribute ``rejects`` says."""
    return getattr(model, "rejects", False) is True


@dataclass(frozen=True, eq=False)
class Undetected:
    """Fool a model of K classes and one more score, the last, that stands for "rejected".

    margin = max_{i != y} z_i - max(z_y, z_reject) over the K classes, > 0 exactly where the answer
    is wrong *and* accepted: an input that is rejected is no break. ``read`` gives K scores in which
    z_y is max(z_y, z_reject), so that every loss of a labelled goal, read that way, fools
    classifier and detector at once. A tie is not a break.

    Source: the combined classifier of Carlini and Wagner, 1705.07263, whose reject
    score is a function of the detector's.

    >>> import torch
    >>> goal = Undetected(torch.tensor([0]))
    >>> goal.margin(torch.tensor([[2.0, 5.0, 4.0]])), goal.margin(torch.tensor([[2.0, 5.0, 6.0]]))
    (tensor([1.]), tensor([-1.]))
    """

    label: Tensor
    sign = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", check_index("y", self.label))

    def read(self, out: Tensor) -> Tensor:
        """(B, K) scores of (B, K + 1): being rejected is as good for the defence as being right."""
        classes, reject = out[:, :-1], out[:, -1]
        kept = score_of(classes, self.label).maximum(reject)
        return classes.scatter(1, self.label[:, None], kept[:, None])

    def margin(self, out: Tensor) -> Tensor:
        """(B,), > 0 where a wrong class scores above both the label and the rejection."""
        return Untargeted(self.label).margin(self.read(out))

    def __getitem__(self, keep: Tensor) -> "Undetected":
        return replace(self, label=self.label[keep])


def against(model: object, y: Tensor) -> Untargeted | Undetected:
    """Return what an adversary wants of ``model`` on *changed* inputs of the classes ``y``.

    An unchanged input that is rejected is a false alarm, and an error of the model: there the goal
    is ``Untargeted(y)`` over all scores, whatever the model.

    >>> import torch
    >>> type(against(torch.nn.Identity(), torch.tensor([0]))).__name__
    'Untargeted'
    """
    return Undetected(y) if rejects(model) else Untargeted(y)


def meant(model: object, goal: Tensor | Goal) -> Goal:
    """Return the goal that is meant: labels stand for what an adversary wants of this model.

    >>> import torch
    >>> type(meant(torch.nn.Identity(), torch.tensor([0]))).__name__
    'Untargeted'
    """
    return against(model, goal) if isinstance(goal, Tensor) else as_goal(goal)


def wanted(model: object, y: Tensor, target: Tensor | None) -> Untargeted | Undetected | Targeted:
    """Return the goal to move inputs of the classes y (B,) to ``target`` (B,); None: anywhere.

    >>> import torch
    >>> wanted(torch.nn.Identity(), torch.tensor([0]), torch.tensor([2])).label
    tensor([2])
    """
    return against(model, y) if target is None else Targeted(target.to(y), y)


def refuse_rejecting(model: object, verb: str) -> None:
    """Raise ``Unsupported`` for a model that rejects, where ``verb`` cannot tell what that is."""
    if rejects(model):
        raise Unsupported(
            f"{verb} does not know models that reject inputs: audit this one at each size instead"
        )
