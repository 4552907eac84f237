"""What the built-in goals can read: refuse other answers of a model before any search starts."""

from typing import Any

from torch import Tensor

from saddlepoint.core.errors import Invalid
from saddlepoint.core.goal import Goal

__all__ = ["check_labels", "check_scores"]


def check_scores(out: Any, goal: Goal, n: int) -> None:  # noqa: ANN401
    """Refuse outputs that the built-in goals cannot read, before any search starts."""
    if not hasattr(goal, "label"):
        return
    if not isinstance(out, Tensor) or out.dim() != 2 or out.shape[0] != n or out.shape[1] < 2:
        shape = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
        allowed = f"logits of shape ({n}, K) with K >= 2 for {n} inputs"
        raise Invalid("model(x)", f"<{shape}>", allowed, _meant(out, n))
    if len(goal.label) != n:
        raise Invalid("y", f"<{len(goal.label)} labels>", f"one label for each of {n} inputs")
    check_labels(goal, out.shape[1] - hasattr(goal, "read"))


def _meant(out: Any, n: int) -> str:  # noqa: ANN401
    """What to do with an answer that a model of another kind gives."""
    if isinstance(out, Tensor):
        one = out.shape[:1] == (n,) and out.dim() == 1
        return "one score for each class; a class alone goes as a one-hot row" if one else ""
    if hasattr(out, "__array__"):
        return "a function of numpy arrays goes into saddlepoint.models.Arrays"
    return "return the logits alone" if isinstance(out, tuple | list | dict) else ""


def check_labels(goal: Goal, classes: int) -> None:
    """Refuse class indices that the model does not have."""
    for name in ("label", "source"):
        index = getattr(goal, name, None)
        if isinstance(index, Tensor) and index.numel() and int(index.max()) >= classes:
            allowed = f"class indices in 0 … {classes - 1}: the model has that many"
            raise Invalid("y" if name == "label" else name, int(index.max()), allowed)
