"""Which class an adversary wants each sample to be taken for."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import torch
from torch import Tensor

from saddlepoint.core.errors import Invalid, closest
from saddlepoint.core.goal import Targeted, hide

__all__ = ["RULES", "Target", "as_target", "target_words"]

RULES = ("next", "runner-up", "least-likely")


@dataclass(frozen=True, eq=False)
class Target:
    """One class for all samples, a rule, or a class for each sample.

    rule: a class index; ``next``, the class after the label, the first after the last;
    ``runner-up`` or ``least-likely``, the class other than the label that scores best or worst on
    the clean input; or None where ``classes`` (n,) names one for each sample. A sample whose label
    is its target has nowhere to be moved.

    >>> y, scores = torch.tensor([2, 0]), torch.tensor([[0.0, 3.0, 5.0], [9.0, 1.0, 2.0]])
    >>> rows = torch.arange(2)
    >>> [Target(r).of(rows, y, scores).tolist() for r in (1, "next", "runner-up", "least-likely")]
    [[1, 1], [0, 1], [1, 2], [0, 1]]
    """

    rule: int | str | None
    classes: Tensor | None = None

    def __post_init__(self) -> None:
        if self.classes is not None:
            whole = self.classes.dim() == 1 and not self.classes.dtype.is_floating_point
            if not whole or self.classes.dtype == torch.bool or not len(self.classes):
                raise Invalid("target", "<a tensor>", "one class index for each sample, (n,) int64")
            self._check(int(self.classes.min()))
        elif isinstance(self.rule, int) and not isinstance(self.rule, bool):
            self._check(self.rule)
        elif self.rule not in RULES:
            allowed = "a class index, " + ", ".join(map(repr, RULES)) + ", or a file of classes"
            raise Invalid("target", self.rule, allowed, closest(str(self.rule), RULES))

    def _check(self, index: int) -> None:
        if index < 0:
            raise Invalid("target", index, "a class index, from 0")

    @property
    def asks(self) -> bool:
        """Whether it takes the model's scores to say."""
        return self.rule in ("runner-up", "least-likely")

    def __str__(self) -> str:
        if self.classes is None:
            return str(self.rule)
        content = self.classes.to(torch.int64).cpu().contiguous().numpy().tobytes()
        return f"{len(self.classes)} classes (sha256:{sha256(content).hexdigest()[:16]})"

    def first(self, n: int) -> "Target":
        """Return the target of the first n samples, so that equal plans have equal hashes."""
        return self if self.classes is None else Target(None, self.classes[:n])

    def check(self, n: int, classes: int) -> None:
        """Raise ``Invalid`` unless there is a target for n samples, each one of the classes."""
        if self.classes is not None and len(self.classes) < n:
            raise Invalid(
                "target", f"<{len(self.classes)} classes>", f"one for each of {n} samples"
            )
        most = int(self.classes[:n].max()) if self.classes is not None else self.rule
        if isinstance(most, int) and most >= classes:
            raise Invalid("target", most, f"a class index in 0 … {classes - 1}")

    def of(self, rows: Tensor, y: Tensor, scores: Tensor) -> Tensor:
        """(B,) int64 the target of each sample.

        rows: (B,) sample numbers. y: (B,) labels. scores: (B, K) of the clean inputs; their values
        matter only where ``asks`` holds.
        """
        if self.classes is not None:
            return self.classes[rows.cpu()].to(y)
        if isinstance(self.rule, int):
            return torch.full_like(y, self.rule)
        if self.rule == "next":
            return (y + 1) % scores.shape[1]
        if self.rule == "runner-up":
            return hide(scores, y).argmax(1)
        return hide(-scores, y).argmax(1)

    def goal(self, rows: Tensor, y: Tensor, scores: Tensor) -> Targeted:
        """Return the goal to leave y for the target."""
        return Targeted(self.of(rows, y, scores), y)


def as_target(target: Any) -> Target | None:  # noqa: ANN401
    """Take a class, a rule, or one class for each sample, as a target; None stays None.

    >>> str(as_target("next")), as_target(None)
    ('next', None)
    """
    if target is None or isinstance(target, Target):
        return target
    if isinstance(target, Tensor):
        return Target(None, target)
    if isinstance(target, str) and target.strip().lstrip("-").isdecimal():
        return Target(int(target))
    return Target(target)


_TARGETS = {
    "next": "the class after its own",
    "runner-up": "the other class that scores best on it unchanged",
    "least-likely": "the other class that scores worst on it unchanged",
}


def target_words(target: str) -> str:
    """Say what the adversary wants each sample to be taken for.

    >>> target_words("3"), target_words("next")
    ('That the model answers class 3', 'That the model answers the class after its own')
    """
    known = _TARGETS.get(target, f"class {target}" if target.isdecimal() else "a class of a list")
    return f"That the model answers {known}"
