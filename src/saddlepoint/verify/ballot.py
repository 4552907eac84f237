"""Draws counted by the class that a model gives them."""

from typing import Any

import torch
from torch import Tensor

from saddlepoint.core.errors import Invalid

__all__ = ["SPOILT", "Ballot"]

SPOILT = -1


class Ballot:
    """Reads a model's answers, and holds it to the form of the first.

    An answer is (R, K) floating scores, whose highest is the class, or (R,) whole numbers, the
    class itself. A row with a score that is not finite is spoilt: it counts for no class, which can
    only lower a bound. classes: K where it is known.

    >>> ballot = Ballot()
    >>> ballot.labels(torch.tensor([[0.0, 1.0], [float("nan"), 0.0]]), 2).tolist()
    [1, -1]
    >>> ballot.count(torch.tensor([1, -1, 1, 0])).tolist()
    [1, 2]
    """

    def __init__(self, classes: int | None = None) -> None:
        self.classes = classes
        self._scored: bool | None = None

    def labels(self, out: Any, rows: int) -> Tensor:  # noqa: ANN401 - whatever a model returns
        """(R,) int64 class of each row, -1 where spoilt; raises ``Invalid`` for what is neither."""
        if not isinstance(out, Tensor):
            raise _refused(type(out).__name__)
        scored = out.dim() == 2 and out.is_floating_point()
        whole = not (out.is_floating_point() or out.is_complex() or out.dtype == torch.bool)
        if len(out.shape) == 0 or len(out) != rows or not (scored or (out.dim() == 1 and whole)):
            raise _refused(f"{str(out.dtype).removeprefix('torch.')} of shape {tuple(out.shape)}")
        if self._scored not in (None, scored):
            raise _refused("scores at one time and classes at another")
        self._scored = scored
        return self._of_scores(out) if scored else self._of_classes(out)

    def _of_scores(self, out: Tensor) -> Tensor:
        k = out.shape[1]
        if k < 2:
            raise _refused(f"one score per row, of shape {tuple(out.shape)}")
        if self.classes not in (None, k):
            raise Invalid("classes", k, f"{self.classes}, as before or as was said")
        self.classes = k
        return torch.where(out.isfinite().all(1), out.argmax(1), SPOILT)

    def _of_classes(self, out: Tensor) -> Tensor:
        low, high = int(out.min()), int(out.max())
        if low < 0 or (self.classes is not None and high >= self.classes):
            allowed = f"in [0, {'classes' if self.classes is None else self.classes})"
            raise Invalid("class", low if low < 0 else high, allowed)
        return out.to(torch.int64)

    def count(self, labels: Tensor) -> Tensor:
        """(K,) int64 rows of each class; without a known K, as many as the highest class needs."""
        return torch.bincount(labels[labels != SPOILT], minlength=self.classes or 2).cpu()


def _refused(what: str) -> Invalid:
    return Invalid("model", f"<its answer is {what}>", "one that gives (R, K) scores or (R,) ints")
