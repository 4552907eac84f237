"""Class by class: what stands, within which interval, and what the rest is taken for."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from saddlepoint.audit.report.numerals import count, percent, span
from saddlepoint.audit.report.run import Run
from saddlepoint.audit.stats import clopper_pearson

__all__ = ["ClassRow", "ClassTable", "class_table"]

Array = np.ndarray[Any, Any]
MOST = 20  # rows; of more classes, the weakest


@dataclass(frozen=True)
class ClassRow:
    """One class: accuracy before and under attack, with its interval, and where it falls to."""

    label: int
    n: int
    clean: str
    robust: str
    interval: str
    taken_for: str


@dataclass(frozen=True)
class ClassTable:
    """The rows shown, out of ``total`` classes."""

    rows: tuple[ClassRow, ...]
    total: int
    confidence: float
    confused: bool


def _confusion(run: Run) -> tuple[Array, Array]:
    """Return label and answer of each witness that the model does not take for its label."""
    none = np.zeros(0, dtype=np.int64)
    if not run.samples:
        return none, none
    index, label = run.evidence["index"], run.evidence["label"]
    seen, pred = run.samples["witness_index"], run.samples["witness_pred"]
    if (index[1:] < index[:-1]).any():
        order = np.argsort(index, kind="stable")
        index, label = index[order], label[order]
    at = np.searchsorted(index, seen).clip(max=len(index) - 1)
    wrong = (index[at] == seen) & (label[at] != pred)
    return label[at][wrong], pred[wrong]


def _most_frequent(wrong: Array) -> str:
    """The most frequent class and its share; the lower number of a tie."""
    if not len(wrong):
        return ""
    classes, times = np.unique(wrong, return_counts=True)
    best = int(times.argmax())
    return f"{classes[best]} ({count(int(times[best]))} of {count(len(wrong))})"


def _row(run: Run, label: int, confidence: float, wrong: Array) -> ClassRow:
    mine = run.evidence["label"] == label
    n, broken = int(mine.sum()), int(run.broken[mine].sum())
    return ClassRow(
        label=label,
        n=n,
        clean=percent(1 - float(run.clean_wrong[mine].mean())),
        robust=percent(1 - broken / n),
        interval=span(list(clopper_pearson(n - broken, n, confidence))),
        taken_for=_most_frequent(wrong),
    )


def class_table(run: Run) -> ClassTable | None:
    """Return one row per class in the order of labels; of very many classes the weakest."""
    label = run.evidence["label"]
    classes = np.unique(label)
    if len(classes) < 2:
        return None
    place = np.searchsorted(classes, label)
    left = np.bincount(place, ~run.broken) / np.bincount(place)
    kept = np.sort(classes[np.argsort(left, kind="stable")[:MOST]])
    given = run.audit["robust_accuracy"].get("confidence")
    confidence = given if given is not None and 0 < given < 1 else 0.95
    of, taken = _confusion(run)
    rows = tuple(_row(run, c, confidence, taken[of == c]) for c in kept.tolist())
    return ClassTable(rows, len(classes), confidence, any(r.taken_for for r in rows))
