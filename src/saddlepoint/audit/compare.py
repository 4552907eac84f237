"""Comparing two runs on the same samples, and saying what else sets them apart."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saddlepoint.audit.comparison import ClassChange, Comparison, Side
from saddlepoint.audit.report.pairs import Pairs
from saddlepoint.audit.report.run import Run
from saddlepoint.audit.result import Audit
from saddlepoint.core.errors import BadData, Invalid

__all__ = ["as_run", "compare", "other_samples"]


def compare(first: Run | Audit | str | Path, second: Run | Audit | str | Path) -> Comparison:
    """Compare two runs of ``audit`` on the same samples, sample by sample.

    first, second: a folder, or what ``audit`` returned for one. Raises ``BadData`` where a folder
    holds no finished run, or the two were not made on the same samples.

    >>> compare("/nowhere", "/nowhere")
    Traceback (most recent call last):
    saddlepoint.core.errors.BadData: /nowhere: no such folder
    """
    a, b = as_run(first), as_run(second)
    if fault := other_samples(a, b.audit):
        raise BadData(fault)
    pairs = Pairs.of(a, b)
    if pairs is None or len(pairs.index) != a.audit["n"]:
        raise BadData(f"{a.folder} and {b.folder} hold evidence about other samples")
    decided, index = pairs.decided, pairs.index
    # Where the second run shows no break, it may only have failed to look.
    may = ~pairs.broken[0] & (pairs.broken[1] | pairs.undecided[1]) & ~decided
    return Comparison(
        first=_side(a),
        second=_side(b),
        data=a.audit["data_sha256"],
        n=a.audit["n"],
        robust_in_both=int((decided & ~pairs.broken.any(axis=0)).sum()),
        broken_in_both=int((decided & pairs.broken.all(axis=0)).sum()),
        newly_broken=_numbers(index[pairs.only_second]),
        newly_safe=_numbers(index[pairs.only_first]),
        undecided=_numbers(index[~decided]),
        may_be_broken=int(may.sum()),
        classes=_classes(pairs),
        notes=(*_unfinished(a, "first"), *_unfinished(b, "second"), *_differences(a, b)),
    )


def as_run(run: Run | Audit | str | Path) -> Run:
    """Load a run; raises ``BadData`` for a folder without one, ``Invalid`` for a run without one.

    >>> as_run("/nowhere")
    Traceback (most recent call last):
    saddlepoint.core.errors.BadData: /nowhere: no such folder
    """
    if isinstance(run, Run):
        return run
    if isinstance(run, Audit):
        if run.folder is None:
            raise Invalid("run", run, "a run with a folder", "pass out=… to audit")
        run = run.folder
    return Run.load(run)


def other_samples(run: Run, audit: Mapping[str, Any]) -> str:
    """Say why a run and another audit.json are not about the same samples; empty if they are.

    ``audit`` needs data_sha256, n and data. A pairing of different samples would mean nothing.
    """
    mine, other = run.audit.get("data_sha256"), audit.get("data_sha256")
    if mine and mine == other:
        return ""
    if not mine or not other:
        return f"{run.folder}: a run without data_sha256 cannot be paired: audit it again"
    here, there = _samples(run.audit), _samples(audit)
    if here == there:
        here += f" (sha256 {mine[:12]}…)"
        there = f"others of that name (sha256 {other[:12]}…)"
    return (
        f"{run.folder} was not made on the same samples: {here} there, {there} here; two runs are "
        "paired sample by sample, so audit both with the same --data, --split and --n"
    )


def _samples(audit: Mapping[str, Any]) -> str:
    data = audit["data"]
    return f"the first {audit['n']:,} of {data['name']} {data.get('split') or ''}".rstrip()


def _side(run: Run) -> Side:
    robust = run.audit["robust_accuracy"]
    return Side(
        folder=str(run.folder),
        model=run.name,
        threat=run.audit["threat"]["spec"],
        clean_accuracy=run.audit["clean_accuracy"],
        robust_accuracy=robust["upper"],
        interval=tuple(robust["interval"]) if robust.get("interval") else None,
        undecided=int(run.undecided.sum()),
    )


def _numbers(index: NDArray[Any]) -> tuple[int, ...]:
    return tuple(index.tolist())


def _classes(pairs: Pairs) -> tuple[ClassChange, ...]:
    found = []
    for label in np.unique(pairs.label).tolist():
        rows = (pairs.label == label) & pairs.decided
        robust = (rows & ~pairs.broken).sum(axis=1)
        broken, safe = (rows & pairs.only_second).sum(), (rows & pairs.only_first).sum()
        counts = (rows.sum(), robust[0], robust[1], broken, safe)
        found.append(ClassChange(label, *map(int, counts)))
    return tuple(found)


def _unfinished(run: Run, which: str) -> list[str]:
    if run.audit["status"] == "complete":
        return []
    return [f"the {which} run is {run.audit['status']}: what it did not attack is undecided"]


def _differences(a: Run, b: Run) -> list[str]:
    """What else than the model differs: then it, too, may explain a change."""
    threat = {
        k: [r.audit["threat"].get(k) for r in (a, b)] for k in ("spec", "goal", "target", "access")
    }
    said = [
        f"{'threat' if k == 'spec' else k} differs: {x} in the first run, {y} in the second"
        for k, (x, y) in {**threat, **_plans(a, b)}.items()
        if x != y
    ]
    x, y = (Counter(row["spec"] for row in r.audit["attacks"]) for r in (a, b))
    for which, only in (("first", x - y), ("second", y - x)):
        if only:
            said.append(f"only the {which} run tried {', '.join(only)}")
    if a.audit["model_sha256"] and a.audit["model_sha256"] == b.audit["model_sha256"]:
        said.append("both runs audited the same weights, so only attacks can explain a change")
    return said


def _plans(a: Run, b: Run) -> dict[str, list[object]]:
    """What decides how strong an attack is; the rest of a plan is named by other means."""
    told = ("threat", "attacks", "access", "n", "seed", "batch_size", "confidence", "verify")
    plans = [run.audit["plan"] or {} for run in (a, b)]
    keys = sorted({*plans[0], *plans[1]} - {*told})
    said: dict[str, list[object]] = {k: [plan.get(k) for plan in plans] for k in keys}
    said["version of saddlepoint"] = [run.audit["saddlepoint"] for run in (a, b)]
    return said
