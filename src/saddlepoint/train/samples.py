"""Training data, checked once, kept as bytes; batches are a function of seed and epoch."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import BadData, Invalid
from saddlepoint.train.augment import cropped, crops
from saddlepoint.train.plan import TrainPlan

__all__ = ["Batch", "Samples", "as_float"]


def as_float(x: Tensor) -> Tensor:
    """float32 in [0, 1]; a byte v becomes v / 255.

    >>> as_float(torch.tensor([0, 255], dtype=torch.uint8))
    tensor([0., 1.])
    """
    return x.float().div_(255) if x.dtype == torch.uint8 else x.float()


@dataclass(frozen=True, eq=False)
class Batch:
    """x (B, *F) float32, y (B,) int64, the identity of each sample, and its share of the step.

    weight: what the mean over these rows has to be multiplied by so that the average over processes
    is the mean over the whole batch.
    """

    x: Tensor
    y: Tensor
    ids: Tensor
    weight: float = 1.0


@dataclass(frozen=True, eq=False)
class Samples:
    """All samples as they came (bytes stay bytes), and which of them train and which measure.

    x: (N, *F) uint8 or float32. y: (N,) int64. train, held_out: row numbers, the latter in random
    order, so that the first few are a fair sample of data sorted by class. sha256: over x and y.
    """

    plan: TrainPlan
    x: Tensor
    y: Tensor
    train: Tensor
    held_out: Tensor
    sha256: str

    @classmethod
    def of(cls, plan: TrainPlan, x: Any, y: Any) -> "Samples":  # noqa: ANN401 - any array
        """Check and split; which rows are held out depends on the seed and their number only.

        Raises ``Invalid`` for what does not fit the plan, ``BadData`` for values and labels that
        nothing could be learnt from.
        """
        x, y = _inputs(plan, x), _labels(plan, y)
        if len(x) != len(y):
            raise BadData(f"{len(x)} training samples but {len(y)} labels: one for each is needed")
        keep = _held_out(plan, len(x))
        order = _order(Draw.of(plan.seed, torch.arange(len(x))).tag("held-out"))
        train, held_out = order[keep:].sort().values, order[:keep]
        if plan.batch_size > len(train):
            hint = f"{len(x)} samples less {keep} held out"
            raise Invalid("batch_size", plan.batch_size, f"at most {len(train)}", hint)
        return cls(plan, x, y, train, held_out, _digest(x, y))

    @property
    def steps(self) -> int:
        """Steps per epoch: as few as the batch size allows."""
        return -(-len(self.train) // self.plan.batch_size)

    def to(self, device: torch.device) -> "Samples":
        """Return the same samples on another device."""
        names = ("x", "y", "train", "held_out")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})

    def batches(self, epoch: int, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        """Shuffle and deal out one epoch in batches that differ by one sample at most in size.

        Equal sizes leave no small last batch, whose gradient would count as much as a whole one.
        """
        draw = Draw.of(self.plan.seed, self.train).tag("epoch", epoch)
        order = self.train[_order(draw.tag("order"))]
        parts = order.tensor_split(self.steps)
        for rows, by in zip(parts, self._crops(draw, order), strict=True):
            mine = rows[rank::world]
            at = None if by is None else by[rank::world]
            yield self._batch(mine, at, len(mine) * world / len(rows))

    def _crops(self, draw: Draw, order: Tensor) -> Sequence[Tensor | None]:
        """Where the images of each batch are cropped, drawn for the whole epoch at once."""
        if self.plan.augment is None:
            return [None] * self.steps
        own = Draw(draw.seed, order, draw.tag("augment").key)
        return crops(own, self.plan.augment, self.plan.shape[-2:]).tensor_split(self.steps)

    def _batch(self, rows: Tensor, by: Tensor | None, weight: float) -> Batch:
        x = self.x[rows] if by is None else cropped(self.x[rows], by)
        return Batch(as_float(x), self.y[rows], rows, weight)

    def measured(self, most: int | None = None) -> Batch:
        """Held-out samples, all or the first ``most``; never augmented."""
        rows = self.held_out[:most]
        return Batch(as_float(self.x[rows]), self.y[rows], rows)


def _order(draw: Draw) -> Tensor:
    """A permutation; stable, so that equal random numbers do not depend on the machine."""
    return draw.uniform(1)[:, 0].argsort(stable=True)


def _held_out(plan: TrainPlan, n: int) -> int:
    share = isinstance(plan.held_out, float)
    keep = max(1, round(plan.held_out * n)) if share else int(plan.held_out)
    if keep >= n:
        raise Invalid("held_out", plan.held_out, f"fewer than the {n} training samples")
    return keep


def _tensor(name: str, rows: Any) -> Tensor:  # noqa: ANN401
    """On the CPU; arrays are copied, as torch warns of those that cannot be written."""
    if isinstance(rows, Tensor):
        return rows.detach().cpu()
    array = np.array(rows[:])
    if array.dtype.kind not in "biuf":
        raise BadData(f"{name} holds {array.dtype}: must be numbers")
    wide = array.dtype.kind == "u" and array.dtype.itemsize > 1  # torch cannot compute with these
    kind = np.dtype(np.int64) if wide else array.dtype.newbyteorder("=")
    return torch.from_numpy(array.astype(kind, copy=False))


def _inputs(plan: TrainPlan, rows: Any) -> Tensor:  # noqa: ANN401
    x = _tensor("x_train", rows)
    if tuple(x.shape[1:]) != plan.shape:
        raise Invalid("x_train", f"<samples of shape {tuple(x.shape[1:])}>", f"of {plan.shape}")
    if x.dtype != torch.uint8 and not x.is_floating_point():
        raise BadData(f"x_train has dtype {x.dtype}: must be uint8 (0..255) or floats in [0, 1]")
    if x.dtype == torch.uint8 or not len(x):
        return x
    low, high = float(x.min()), float(x.max())  # NaN wins both
    if not 0 <= low <= high <= 1:
        what = "NaN" if low != low else f"values from {low:g} to {high:g}"
        raise BadData(
            f"x_train holds {what}: floats must lie in [0, 1]; scale them (normalisation belongs "
            "into the model), or pass bytes as uint8"
        )
    return x.float()


def _labels(plan: TrainPlan, rows: Any) -> Tensor:  # noqa: ANN401
    y = _tensor("y_train", rows)
    if y.dim() != 1 or y.is_floating_point() or y.dtype == torch.bool:
        raise BadData(
            f"y_train is {y.dtype} of shape {tuple(y.shape)}: must be whole numbers, (N,)"
        )
    low, high = (int(y.min()), int(y.max())) if len(y) else (0, 0)
    if low == high:
        said = f"holds only the class {low}" if len(y) else "is empty"
        raise BadData(f"y_train {said}: at least two classes are needed to tell apart")
    if low < 0 or high >= plan.classes:
        raise BadData(
            f"y_train has labels from {low} to {high}: must lie in [0, {plan.classes - 1}] "
            f"for {plan.classes} classes"
        )
    return y.long()


def _digest(x: Tensor, y: Tensor) -> str:
    digest = hashlib.sha256(f"{x.dtype}{tuple(x.shape)}".encode())
    for t in (x, y):
        digest.update(t.contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()
