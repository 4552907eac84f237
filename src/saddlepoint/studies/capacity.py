"""How much capacity robustness needs: accuracy and loss against width (1706.06083, section 4)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from saddlepoint.core.errors import BadData
from saddlepoint.core.files import write_bytes
from saddlepoint.data import Dataset
from saddlepoint.studies.cell import Cell
from saddlepoint.studies.figure import draw_capacity
from saddlepoint.studies.holding import holding
from saddlepoint.studies.measure import Row, fresh, measure_cell
from saddlepoint.studies.plan import CapacityPlan
from saddlepoint.studies.record import Record
from saddlepoint.train import Epoch

__all__ = ["Capacity", "Watch", "run_capacity"]


class Watch(Protocol):
    """What is told how the study goes on."""

    def start(self, cell: Cell) -> None:
        """A cell begins."""

    def epoch(self, cell: Cell, row: Epoch) -> None:
        """An epoch of it is done and saved."""

    def end(self, cell: Cell, row: Row, kept: bool) -> None:
        """A cell is done and saved; ``kept``: it was already, by an earlier run."""


class _Nobody:
    def start(self, cell: Cell) -> None:
        pass

    def epoch(self, cell: Cell, row: Epoch) -> None:
        pass

    def end(self, cell: Cell, row: Row, kept: bool) -> None:
        pass


@dataclass(frozen=True)
class Capacity:
    """The finished study: ``document`` is what ``capacity.json`` in ``folder`` holds."""

    document: dict[str, Any]
    folder: Path


@holding
def run_capacity(
    plan: CapacityPlan,
    data: Dataset,
    out: str | Path,
    *,
    device: str = "cpu",
    watch: Watch | None = None,
) -> Capacity:
    """Train and measure every cell of ``plan`` on ``data``; draw the figure of the paper.

    Every cell minimises E max over the L_inf ball of CE, the maximum replaced by nothing, by FGSM
    or by PGD, in a net of ``multiplier`` times the narrowest width. ``out`` then holds
    ``capacity.json``, ``capacity.png``, ``capacity.svg`` and a folder per cell. data: images of at
    least 4 x 4. device: as for ``train``. The same call continues a study that was stopped:
    finished cells are not computed again, and the cells of further widths or trainings join them.

    Raises ``Invalid`` for a folder that holds a study by other settings or on other data, and
    ``BadData``, before any work. A cell whose training diverges is recorded as that.

    Source: Madry et al., 1706.06083, section 4 and figure 4.

    >>> import tempfile
    >>> from saddlepoint import load_data
    >>> plan = CapacityPlan(
    ...     multipliers=(1,), trainings=("natural",), train_n=64, test_n=20, epochs=1, batch_size=32
    ... )
    >>> with tempfile.TemporaryDirectory() as out:
    ...     study = run_capacity(plan, load_data("digits"), out)
    >>> study.document["status"], [row["name"] for row in study.document["cells"]]
    ('complete', ['x1-natural'])
    """
    folder, to = Path(out), watch or _Nobody()
    _check_fit(plan, data)
    record = Record.open(folder / "capacity.json", plan.settings(), _about(plan, data), device)
    names = [cell.name for cell in plan.cells]
    document = record.write(names)
    for cell in plan.cells:
        kept = cell.name in record.cells
        if not kept:
            to.start(cell)

            def on_epoch(row: Epoch, cell: Cell = cell) -> None:
                to.epoch(cell, row)

            where = folder / cell.name
            record.cells[cell.name] = measure_cell(plan, cell, data, where, device, on_epoch)
            document = record.write(names)
        to.end(cell, record.cells[cell.name], kept)
    for name, content in draw_capacity(document).items():
        write_bytes(folder / name, content)
    return Capacity(document, folder)


def _check_fit(plan: CapacityPlan, data: Dataset) -> None:
    """Raise ``Invalid`` or ``BadData`` for what no cell could be trained on."""
    training = plan.training(plan.cells[0], data.shape, data.classes)
    fresh(training)
    n = min(plan.train_n, len(data.split("train")))
    if n - max(1, round(plan.held_out * n)) < plan.batch_size:
        said = f"its {n} training samples, less those held out, make no batch of {plan.batch_size}"
        raise BadData(f"{data.name}: {said}: the study needs more of them")


def _about(plan: CapacityPlan, data: Dataset) -> dict[str, Any]:
    """Which samples: the names of the keys differ from the settings', as both are compared."""
    train, test = data.split("train"), data.split("test")
    n, m = min(plan.train_n, len(train)), min(plan.test_n, len(test))
    return {
        "data": data.name,
        "train_samples": n,
        "train_sha256": train.sha256(n),
        "test_samples": m,
        "test_sha256": test.sha256(m),
        "majority": float(np.bincount(test.y[:m]).max() / m),
    }
