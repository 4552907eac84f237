"""How little a rotation and a shift leave of accuracy, and what brings it back (1712.02779)."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from saddlepoint.core.errors import BadData
from saddlepoint.core.files import write_bytes
from saddlepoint.core.found import Found
from saddlepoint.core.search import search
from saddlepoint.data import Dataset
from saddlepoint.studies.holding import holding
from saddlepoint.studies.measure import Row, accuracy, errors, fresh, trained
from saddlepoint.studies.record import SPATIAL, Record
from saddlepoint.studies.spatial_figure import draw_spatial
from saddlepoint.studies.spatial_plan import TRAINED, SpatialPlan
from saddlepoint.train import Diverged, Epoch

__all__ = ["Spatial", "SpatialWatch", "run_spatial"]


class SpatialWatch(Protocol):
    """What is told how the study goes on."""

    def epoch(self, name: str, row: Epoch) -> None:
        """An epoch of a net's training is done and saved."""

    def attacked(self, name: str, attack: str, row: Row) -> None:
        """A net is measured under one attack; ``row`` as in the study's file."""

    def net(self, row: Row, kept: bool) -> None:
        """A net is done and saved; ``kept``: it was already, by an earlier run."""


class _Nobody:
    def epoch(self, name: str, row: Epoch) -> None:
        pass

    def attacked(self, name: str, attack: str, row: Row) -> None:
        pass

    def net(self, row: Row, kept: bool) -> None:
        pass


@dataclass(frozen=True)
class Spatial:
    """The finished study: ``document`` is what ``spatial.json`` in ``folder`` holds."""

    document: dict[str, Any]
    folder: Path


@holding
def run_spatial(
    plan: SpatialPlan,
    data: Dataset,
    out: str | Path,
    *,
    device: str = "cpu",
    watch: SpatialWatch | None = None,
) -> Spatial:
    """Train a net naturally, on random rotations and shifts, and on the worst of a few; attack all.

    Each is measured on the first test samples: as they are, at one random member of the set, at the
    worst of ten, along gradients, on the published grid, and by a coarse grid that is refined.
    ``out`` then holds ``spatial.json``, ``spatial.png``, ``spatial.svg`` and a folder per net.
    data: images. The same call continues a study that was stopped.

    Raises ``Invalid`` for a folder that holds a study by other settings or on other data, and for
    data without images. A net whose training diverges is recorded as that.

    Source: Engstrom, Tran, Tsipras, Schmidt, Madry, 1712.02779.
    """
    folder, to = Path(out), watch or _Nobody()
    if len(data.shape) != 3:
        raise BadData(f"{data.name} holds samples of shape {data.shape}: only images can turn")
    about = _about(plan, data)
    record = Record.open(folder / "spatial.json", plan.settings(), about, device, SPATIAL)
    document = record.write(TRAINED)
    for name in TRAINED:
        kept = name in record.cells
        if not kept:
            record.cells[name] = _cell(plan, name, data, folder / name, device, to)
            document = record.write(TRAINED)
        to.net(record.cells[name], kept)
    for name, content in draw_spatial(document).items():
        write_bytes(folder / name, content)
    return Spatial(document, folder)


def _about(plan: SpatialPlan, data: Dataset) -> dict[str, Any]:
    train, test = data.split("train"), data.split("test")
    n, m = min(plan.train_n, len(train)), min(plan.test_n, len(test))
    hashes = {"train_sha256": train.sha256(n), "test_sha256": test.sha256(m)}
    return {"data": data.name, "train_samples": n, "test_samples": m, **hashes}


def _cell(
    plan: SpatialPlan, name: str, data: Dataset, folder: Path, device: str, to: SpatialWatch
) -> Row:
    """Return the row of one net; a training that diverges is a row as well."""
    begin, training = time.monotonic(), plan.training(name, data.shape, data.classes)
    model = fresh(training)
    size = sum(p.numel() for p in model.parameters())
    about: Row = {"name": name, "training": name, "parameters": size, "plan": training.describe()}

    def on_epoch(row: Epoch) -> None:
        to.epoch(name, row)

    try:
        history = trained(training, model, data, plan.train_n, folder, device, on_epoch)
    except Diverged as error:
        none = dict.fromkeys(("final_loss", "clean", *plan.attacks()))
        said = {"status": "diverged", "message": str(error), "examples": []}
        return {**about, **none, **said, "seconds": round(time.monotonic() - begin, 2)}
    begin = time.monotonic()
    measured = _measured(plan, model.to(device), data, lambda *said: to.attacked(name, *said))
    seconds = sum(e.seconds for e in history) + time.monotonic() - begin
    about |= {"final_loss": history[-1].loss, **measured, "seconds": round(seconds, 2)}
    return {**about, "status": "complete", "message": None}


def _measured(
    plan: SpatialPlan, model: nn.Module, data: Dataset, said: Callable[[str, Row], None]
) -> Row:
    half = data.split("test")
    x, y = half.batch(slice(0, min(plan.test_n, len(half))))
    row: Row = {}
    found: Found | None = None
    for name, attack in plan.attacks().items():
        begin = time.monotonic()
        found = search(attack, model, x, y, plan.threat(), seed=plan.seed, precision=plan.precision)
        if found.error is not None:
            raise RuntimeError(f"{attack!r} failed on the test samples:\n{found.error}")
        if not row:
            row["clean"] = accuracy(int((found.clean_margin <= 0).sum()), len(y), 0)
        row[name] = {
            **accuracy(int((~found.broken).sum()), len(y), errors(found)),
            "attack": repr(attack),
            "passes": float((found.cost.forward + found.cost.backward).double().mean()),
            "seconds": round(time.monotonic() - begin, 2),
        }
        said(name, row[name])
    kept = [] if found is None else _examples(plan, model, found, x, y)
    return {**row, "examples": kept}


def _examples(plan: SpatialPlan, model: nn.Module, found: Found, x: Tensor, y: Tensor) -> list[Row]:
    """First samples, one of each class, that were right and are broken: before, after, and how."""
    fell = (found.broken & (found.clean_margin.cpu() <= 0)).nonzero().flatten()
    order = np.unique(y[fell].numpy(), return_index=True)[1]
    rows = fell[torch.from_numpy(np.sort(order)[: plan.examples])]
    moved, u = found.x_adv[rows].cpu(), found.u[rows].cpu()
    with torch.no_grad():
        seen = model(found.x_adv[rows]).argmax(1).tolist()
    unit = torch.tensor([plan.degrees, plan.pixels, plan.pixels])
    return [
        {
            "index": int(r),
            "label": int(y[r]),
            "prediction": seen[i],
            "degrees_and_pixels": (u[i] * unit).tolist(),
            "shape": list(x.shape[1:]),
            "before": _hex(x[r]),
            "after": _hex(moved[i]),
        }
        for i, r in enumerate(rows.tolist())
    ]


def _hex(image: Tensor) -> str:
    """Bytes of the image's channels, 0 to 255, row by row."""
    return (image * 255).round().to(torch.uint8).numpy().tobytes().hex()
