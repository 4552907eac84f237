"""How nets stand up to common corruptions: accuracy by corruption and severity (1903.12261)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import nn

from saddlepoint.core.door import Model, state_hash
from saddlepoint.core.errors import BadData
from saddlepoint.core.files import write_bytes
from saddlepoint.data import Dataset
from saddlepoint.studies.corrupted import Bits, measure_corruption, right_on, summary
from saddlepoint.studies.corruptions_figure import draw_corruptions
from saddlepoint.studies.corruptions_plan import NETS, CorruptionsPlan
from saddlepoint.studies.holding import holding
from saddlepoint.studies.measure import Row, fresh, trained
from saddlepoint.studies.record import CORRUPTED, Record
from saddlepoint.threats import Corruption
from saddlepoint.train import Epoch

__all__ = ["CorruptionWatch", "Corruptions", "run_corruptions"]


class CorruptionWatch(Protocol):
    """What is told how the study goes on."""

    def epoch(self, name: str, row: Epoch) -> None:
        """An epoch of a net's training is done and saved."""

    def cell(self, row: Row, kept: bool) -> None:
        """A cell is done and saved; ``kept``: it was already, by an earlier run."""


class _Nobody:
    def epoch(self, name: str, row: Epoch) -> None:
        pass

    def cell(self, row: Row, kept: bool) -> None:
        pass


@dataclass(frozen=True)
class Corruptions:
    """The finished study: ``document`` is what ``corruptions.json`` in ``folder`` holds."""

    document: dict[str, Any]
    folder: Path


@holding
def run_corruptions(
    plan: CorruptionsPlan,
    data: Dataset,
    out: str | Path,
    *,
    models: Mapping[str, Model] | None = None,
    device: str = "cpu",
    watch: CorruptionWatch | None = None,
) -> Corruptions:
    """Measure models under every corruption and severity of ``plan``; draw one figure of all.

    models: by the name that the record has for them; None trains the three nets of the plan. In
    each cell every sample meets the same random patterns under every model: the mean over them is
    the accuracy, and the samples that are right under all are those that withstand the worst of k.
    ``out`` then holds ``corruptions.json``, ``corruptions.png``, ``corruptions.svg`` and a folder
    per net that was trained. data: images. The same call continues a study that was stopped.

    Raises ``Invalid`` for a folder that holds a study by other settings, models or data, and for
    images that a corruption does not fit; ``BadData`` for data without images.

    Source: Hendrycks, Dietterich, 1903.12261.
    """
    folder, to = Path(out), watch or _Nobody()
    if len(data.shape) != 3:
        raise BadData(f"{data.name} holds samples of shape {data.shape}: only images are corrupted")
    for name in plan.names:
        Corruption(name).check(data.shape)
    about = _about(plan, data, models)
    record = Record.open(folder / "corruptions.json", plan.settings(), about, device, CORRUPTED)
    half = data.split("test")
    x, y = half.batch(slice(0, min(plan.test_n, len(half))))
    names = list(NETS if models is None else models)
    asked = [f"{net}/{name}-{s:g}" for net in names for name in plan.names for s in plan.severities]
    clean: dict[str, Bits] = {}
    document = record.write(asked, _said(plan, record, clean))
    for net in names:
        model = _net(plan, net, data, folder, device, to) if models is None else models[net]
        clean[net] = right_on(model, x, y)
        for name in plan.names:
            for severity in plan.severities:
                cell = f"{net}/{name}-{severity:g}"
                kept = cell in record.cells
                if not kept:
                    row = measure_corruption(plan, model, x, y, name, severity)
                    record.cells[cell] = {"name": cell, "net": net, **row}
                    document = record.write(asked, _said(plan, record, clean))
                to.cell(record.cells[cell], kept)
    document = record.write(asked, _said(plan, record, clean))
    for name, content in draw_corruptions(document).items():
        write_bytes(folder / name, content)
    return Corruptions(document, folder)


def _said(plan: CorruptionsPlan, record: Record, clean: Mapping[str, Bits]) -> dict[str, Any]:
    cells = list(record.cells.values())
    return {
        "nets": {
            net: summary(plan, [row for row in cells if row["net"] == net], right)
            for net, right in clean.items()
        }
    }


def _about(
    plan: CorruptionsPlan, data: Dataset, models: Mapping[str, Model] | None
) -> dict[str, Any]:
    test = data.split("test")
    m = min(plan.test_n, len(test))
    said = {"data": data.name, "test_samples": m, "test_sha256": test.sha256(m)}
    if models is not None:
        return said | {"models": {name: state_hash(model) for name, model in models.items()}}
    train = data.split("train")
    n = min(plan.train_n, len(train))
    return said | {"models": None, "train_samples": n, "train_sha256": train.sha256(n)}


def _net(
    plan: CorruptionsPlan,
    name: str,
    data: Dataset,
    folder: Path,
    device: str,
    to: CorruptionWatch,
) -> nn.Module:
    n = min(plan.train_n, len(data.split("train")))
    training = plan.training(name, data.shape, data.classes, n)
    model = fresh(training)

    def on_epoch(row: Epoch) -> None:
        to.epoch(name, row)

    trained(training, model, data, plan.train_n, folder / name, device, on_epoch)
    return model.to(device).eval().requires_grad_(False)
