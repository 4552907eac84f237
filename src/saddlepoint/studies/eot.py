"""A witness that one view made, and one that all views made, over fresh views (1707.07397)."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from saddlepoint.audit.stats import clopper_pearson
from saddlepoint.audit.store import npz_bytes
from saddlepoint.core.files import write_bytes
from saddlepoint.data import Dataset
from saddlepoint.studies.eot_figure import draw_eot
from saddlepoint.studies.eot_plan import METHODS, EotPlan, Scene
from saddlepoint.studies.eot_scene import net_of, rows_of, strip, subject, witnesses
from saddlepoint.studies.holding import holding
from saddlepoint.studies.measure import Row
from saddlepoint.studies.record import EOT, Record
from saddlepoint.train import Epoch

__all__ = ["Eot", "Heed", "run_eot", "summary"]

STRIP = "strip.npz"
Strip = dict[str, np.ndarray[Any, Any]]


class Heed(Protocol):
    """What is told how the study goes on."""

    def epoch(self, name: str, row: Epoch) -> None:
        """An epoch of a net's training is done and saved."""

    def scene(self, name: str, row: Row, kept: bool) -> None:
        """A scene is done and saved; ``kept``: it was already, by an earlier run."""


class _Nobody:
    def epoch(self, name: str, row: Epoch) -> None:
        pass

    def scene(self, name: str, row: Row, kept: bool) -> None:
        pass


@dataclass(frozen=True)
class Eot:
    """The finished study: ``document`` is what ``eot.json`` in ``folder`` holds."""

    document: dict[str, Any]
    folder: Path


@holding
def run_eot(plan: EotPlan, data: Dataset, out: str | Path, *, watch: Heed | None = None) -> Eot:
    """Compare witnesses of one fixed view with witnesses of a distribution of views.

    In each scene a net learns on random views of the training samples. Two attacks see an input in
    one fixed view, as it is or as the texture of a solid that stands still: one looks for the
    smallest change, one is pushed as far as it goes. A third climbs the mean over random views, at
    the cost of the second. All have the same L_inf ball around the input or the texture and the
    same target class, and are judged by how often fresh views are taken for the target. ``out``
    then holds ``eot.json``, ``eot.png``, ``eot.svg``, and a folder per scene with its net and
    pictures. The same call continues a study that was stopped.

    Raises ``Invalid`` for a folder with a study by other settings or data.

    Source: Athalye, Engstrom, Ilyas, Kwok, 1707.07397, sections 2 and 3.
    """
    folder, to = Path(out), watch or _Nobody()
    record = Record.open(folder / "eot.json", plan.settings(), _about(plan, data), "cpu", EOT)
    strips: dict[str, Strip] = {}
    for scene in plan.chosen:
        kept = _finished(folder, scene, record)
        if not kept:
            _measure(plan, scene, data, folder, record, to)
        strips[scene.name] = _read(folder / scene.name / STRIP)
        document = record.write(_asked(plan, record), summary(plan, record.cells))
        to.scene(scene.name, document["scenes"][scene.name], kept)
    for name, content in draw_eot(document, strips).items():
        write_bytes(folder / name, content)
    return Eot(document, folder)


def _about(plan: EotPlan, data: Dataset) -> dict[str, Any]:
    train, test = data.split("train"), data.split("test")
    n, m = min(plan.train_n, len(train)), min(1000, len(test))
    hashes = {"train_sha256": train.sha256(n), "test_sha256": test.sha256(m)}
    return {"data": data.name, "train_samples": n, "test_samples": m, **hashes}


def _finished(folder: Path, scene: Scene, record: Record) -> bool:
    done = any(row["scene"] == scene.name for row in record.cells.values())
    return done and (folder / scene.name / STRIP).exists()


def _asked(plan: EotPlan, record: Record) -> list[str]:
    """Name what has to be there for the study to be complete: of a scene without rows, the scene.

    How many images a net gets right is not known before.
    """
    rows = record.cells.values()
    names = [[r["name"] for r in rows if r["scene"] == scene.name] for scene in plan.chosen]
    return [n for one, scene in zip(names, plan.chosen, strict=True) for n in one or [scene.name]]


def _measure(
    plan: EotPlan, scene: Scene, data: Dataset, folder: Path, record: Record, to: Heed
) -> None:
    where = folder / scene.name
    net = net_of(plan, scene, data, where, lambda row: to.epoch(scene.name, row))
    chosen = subject(plan, scene, net, data)
    found = witnesses(plan, chosen)
    write_bytes(where / STRIP, npz_bytes(strip(plan, chosen, found)))
    rows = rows_of(plan, chosen, found)
    record.cells |= {row["name"]: row for row in rows}


def _read(path: Path) -> Strip:
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def summary(plan: EotPlan, cells: Mapping[str, Row]) -> dict[str, Any]:
    """Return means over the images of each scene, by method.

    target, label: share of fresh views taken for the target, and for the image's own class, over
    all images; interval: of the first, over views with the images fixed. hold: how many images
    exceed half of the views by the lower end of their own interval. home: how many reach the target
    in the fixed view. clean: accuracy of the net on one random view of each test image.
    """
    scenes: dict[str, Any] = {}
    for scene in plan.chosen:
        rows = [row for row in cells.values() if row["scene"] == scene.name]
        if rows:
            said = {name: _method(plan, scene, [row[name] for row in rows]) for name in METHODS}
            scenes[scene.name] = {"images": len(rows), "clean": rows[0]["clean"], **said}
    return {"scenes": scenes}


def _method(plan: EotPlan, scene: Scene, rows: list[Row]) -> Row:
    views, hits = plan.trials * len(rows), sum(row["target"] for row in rows)
    quorum = plan.under(scene).quorum
    return {
        "target": hits / views,
        "interval": list(clopper_pearson(hits, views)),
        "label": sum(row["label"] for row in rows) / views,
        "hold": sum(row["target"] >= quorum for row in rows),
        "home": sum(row["home"] for row in rows),
        "l2": statistics.fmean(row["l2"] for row in rows),
    }
