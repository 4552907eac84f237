"""Class by class: what stands, within which interval, and what the rest is taken for."""

from dataclasses import dataclass

import numpy as np

from saddlepoint.audit.report.numerals import count, percent, span
from saddlepoint.audit.report.run import Run
from saddlepoint.audit.stats import clopper_pearson

__all__ = ["ClassRow", "ClassTable", "class_table"]

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


def _confusion(run: Run) -> dict[int, list[int]]:
    """Return for each class what the model takes its witnesses for, right answers left out."""
    label_of = dict(
        zip(run.evidence["index"].tolist(), run.evidence["label"].tolist(), strict=True)
    )
    found: dict[int, list[int]] = {}
    if run.samples:
        pairs = (run.samples["witness_index"].tolist(), run.samples["witness_pred"].tolist())
        for index, pred in zip(*pairs, strict=True):
            label = label_of.get(index, pred)
            if label != pred:
                found.setdefault(label, []).append(pred)
    return found


def _most_frequent(wrong: list[int]) -> str:
    """The most frequent class and its share; the lower number of a tie."""
    if not wrong:
        return ""
    classes, times = np.unique(wrong, return_counts=True)
    best = int(times.argmax())
    return f"{classes[best]} ({count(int(times[best]))} of {count(len(wrong))})"


def _row(run: Run, label: int, confidence: float, wrong: list[int]) -> ClassRow:
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
    classes, place = np.unique(run.evidence["label"], return_inverse=True)
    if len(classes) < 2:
        return None
    left = np.bincount(place, ~run.broken) / np.bincount(place)
    kept = np.sort(classes[np.argsort(left, kind="stable")[:MOST]])
    given = run.audit["robust_accuracy"].get("confidence")
    confidence = given if given is not None and 0 < given < 1 else 0.95
    wrong = _confusion(run)
    rows = tuple(_row(run, c, confidence, wrong.get(c, [])) for c in kept.tolist())
    return ClassTable(rows, len(classes), confidence, any(r.taken_for for r in rows))
