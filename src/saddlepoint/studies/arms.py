"""Defences that fell, as an arms race: defence, claim, attack that knows it, truth."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from saddlepoint.core.errors import Invalid
from saddlepoint.core.files import write_bytes
from saddlepoint.data import Dataset
from saddlepoint.studies.arms_figure import draw_arms
from saddlepoint.studies.arms_measure import measure_link
from saddlepoint.studies.arms_nets import Nets
from saddlepoint.studies.arms_plan import ArmsPlan
from saddlepoint.studies.holding import holding
from saddlepoint.studies.measure import Row
from saddlepoint.studies.record import Kind, Record

__all__ = ["ARMS", "Arms", "Onlooker", "run_arms"]

ARMS = Kind(
    "arms-race",
    "arXiv:1511.04508, 1608.04644, 1704.01155, 1705.07263, 1706.04701",
    ("number",),
    ("defence", "claimed", "true", "undefended", "flagged"),
)


class Onlooker(Protocol):
    """What is told how the study goes on."""

    def link(self, row: Row, kept: bool) -> None:
        """A link is done and saved; ``kept``: it was already, by an earlier run."""


class _Nobody:
    def link(self, row: Row, kept: bool) -> None:
        pass


@dataclass(frozen=True)
class Arms:
    """The finished study: ``document`` is what ``arms-race.json`` in ``folder`` holds."""

    document: dict[str, Any]
    folder: Path


@holding
def run_arms(
    plan: ArmsPlan, data: Dataset, out: str | Path, *, watch: Onlooker | None = None
) -> Arms:
    """Train the defences, audit each as its claim did and as one who knows it would, and draw both.

    Two chains: JSMA, defensive distillation, attacks on the logits; and FGSM, feature squeezing,
    ensembles and detectors, attacks that fool classifier and detector at once. Every number is an
    audit's. ``out`` then holds ``arms-race.json``, ``arms-race.png``, ``arms-race.svg``, the nets
    under ``nets/`` and, under ``audits/``, the run folders of the adaptive audits. The same call
    continues a study that was stopped.

    Raises ``Invalid`` for a folder with a study by other settings or data, and for fewer samples
    than the plan asks for.

    Source: 1511.04508, 1608.04644, 1704.01155, 1705.07263, 1706.04701.
    """
    folder, to = Path(out), watch or _Nobody()
    about = _about(plan, data)
    record = Record.open(folder / "arms-race.json", plan.settings(), about, "cpu", ARMS)
    nets, names = Nets(plan, data, folder / "nets"), [link.name for link in plan.links]
    document = record.write(names)
    for number, link in enumerate(plan.links):
        kept = link.name in record.cells
        if not kept:
            place = folder / "audits" / link.name.replace(", ", "-").replace(" ", "-")
            row = measure_link(plan, link, nets, data, place)
            record.cells[link.name] = {"number": number, **row}
            document = record.write(names)
        to.link(record.cells[link.name], kept)
    for name, content in draw_arms(document).items():
        write_bytes(folder / name, content)
    return Arms(document, folder)


def _about(plan: ArmsPlan, data: Dataset) -> dict[str, Any]:
    train, test = data.split("train"), data.split("test")
    for name, asked, there in (
        ("test_n", plan.test_n, len(test)),
        ("train_n", plan.held_n + 20, len(train)),
    ):
        if asked > there:
            raise Invalid(name, asked, f"at most {there}, the number of samples there are")
    n = min(plan.train_n, len(train) - plan.held_n)
    hashes = {"train_sha256": train.sha256(n), "test_sha256": test.sha256(plan.test_n)}
    return {"data": data.name, "train_samples": n, "test_samples": plan.test_n, **hashes}
