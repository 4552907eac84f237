"""A labelled data set with a training and a test half, checked when it is made."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from saddlepoint.core.errors import BadData, Invalid
from saddlepoint.data.split import Rows, Split

__all__ = ["Dataset"]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Training and test samples with their labels; nothing in it can be out of range.

    ``x_train`` and ``x_test`` are (N, *F), uint8 or float32 in [0, 1], images as NCHW; ``y_train``
    and ``y_test`` are (N,) int64 in [0, classes), called ``label_names`` where these are known.
    Either half may be empty, with shape (0, *F). Raises ``BadData`` when lengths, shapes, values or
    labels do not fit.

    >>> x, y = np.zeros((4, 1, 2, 2), dtype=np.uint8), np.array([0, 1, 0, 1])
    >>> data = Dataset("toy", x, y, x[:2], y[:2], classes=2)
    >>> data.shape, len(data.split("train")), len(data)
    ((1, 2, 2), 4, 2)
    """

    name: str
    x_train: Rows
    y_train: NDArray[np.int64]
    x_test: Rows
    y_test: NDArray[np.int64]
    classes: int
    label_names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.classes < 2:
            raise BadData(f"{self.name}: {self.classes} class: at least 2 are needed to tell apart")
        if self.label_names is not None and len(self.label_names) != self.classes:
            raise BadData(
                f"{self.name}: {len(self.label_names)} label names for {self.classes} classes"
            )
        for half, x, y in (
            ("train", self.x_train, self.y_train),
            ("test", self.x_test, self.y_test),
        ):
            _check_pair(f"{self.name}: x_{half}, y_{half}", x, y)
            _check_values(f"{self.name}: x_{half}", x)
            _check_labels(f"{self.name}: y_{half}", y, self.classes)
        if self.x_train.shape[1:] != self.x_test.shape[1:]:
            raise BadData(
                f"{self.name}: training samples have shape {tuple(self.x_train.shape[1:])}, "
                f"test samples {tuple(self.x_test.shape[1:])}: they must be the same"
            )

    def __len__(self) -> int:
        return len(self.y_test)

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of one sample, (C, H, W) for images."""
        return tuple(self.x_test.shape[1:])

    def split(self, which: str = "test") -> Split:
        """Return the half called ``"test"`` or ``"train"``.

        Raises ``Invalid`` for another name and ``BadData`` when that half is empty.
        """
        if which not in ("test", "train"):
            raise Invalid("split", which, "'test' or 'train'")
        test = which == "test"
        half = Split(self.x_test, self.y_test) if test else Split(self.x_train, self.y_train)
        if not len(half):
            other = "train" if test else "test"
            raise BadData(
                f"{self.name} has no {which} samples, only a {other} split: "
                f"use that one, or add x_{which} and y_{which} (a folder: {which}/<class>/*.png)"
            )
        return half


def _check_pair(name: str, x: Rows, y: NDArray[np.int64]) -> None:
    if len(x.shape) < 2:
        raise BadData(
            f"{name}: samples of shape {tuple(x.shape)}: must be (N, C, H, W) or (N, features)"
        )
    if len(x) != len(y):
        raise BadData(f"{name}: {len(x)} samples but {len(y)} labels: there must be one for each")


def _check_values(name: str, x: Rows) -> None:
    if x.dtype not in (np.uint8, np.float32):
        raise BadData(f"{name} has dtype {x.dtype}: must be uint8 (0..255) or float32 in [0, 1]")
    if not isinstance(x, np.ndarray) or x.dtype == np.uint8 or not x.size:
        return
    low, high = float(x.min()), float(x.max())
    if np.isnan(low) or np.isnan(high):
        raise BadData(f"{name} holds NaN: every value must lie in [0, 1]")
    if low < 0 or high > 1:
        raise BadData(
            f"{name} has values from {low:g} to {high:g}: floats must lie in [0, 1]; "
            "scale them (normalisation belongs into the model), or store bytes as uint8"
        )


def _check_labels(name: str, y: NDArray[np.int64], classes: int) -> None:
    if y.ndim != 1 or y.dtype != np.int64:
        raise BadData(f"{name} is {y.dtype} of shape {y.shape}: must be int64 of shape (N,)")
    if y.size and (y.min() < 0 or y.max() >= classes):
        raise BadData(
            f"{name} has labels from {y.min()} to {y.max()}: must lie in [0, {classes - 1}]"
        )
