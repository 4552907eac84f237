"""How far attacks are from the smallest change, where that is known (1709.10207, section 5)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from saddlepoint.core.files import write_bytes
from saddlepoint.data import Dataset
from saddlepoint.studies.distances import Attacked, attacked, check_image, measure_image, summary
from saddlepoint.studies.exact_figure import draw_exact
from saddlepoint.studies.exact_plan import ExactPlan
from saddlepoint.studies.holding import holding
from saddlepoint.studies.measure import Row, fresh, trained
from saddlepoint.studies.record import EXACT, Record
from saddlepoint.train import Epoch

__all__ = ["TRAINED", "Exact", "Follow", "run_exact"]

TRAINED = ("natural", "adversarial")
_CHUNK = 1000


class Follow(Protocol):
    """What is told how the study goes on."""

    def epoch(self, name: str, row: Epoch) -> None:
        """An epoch of a net's training is done and saved."""

    def image(self, row: Row, kept: bool) -> None:
        """An image is done and saved; ``kept``: it was already, by an earlier run."""


class _Nobody:
    def epoch(self, name: str, row: Epoch) -> None:
        pass

    def image(self, row: Row, kept: bool) -> None:
        pass


@dataclass(frozen=True)
class Exact:
    """The finished study: ``document`` is what ``exact.json`` in ``folder`` holds."""

    document: dict[str, Any]
    folder: Path


@holding
def run_exact(
    plan: ExactPlan, data: Dataset, out: str | Path, *, watch: Follow | None = None
) -> Exact:
    """Find the smallest L_inf change of images under two small nets, and compare attacks with it.

    One net is trained on natural samples, one on PGD's. For each image branch and bound brackets
    the distance of the nearest break between a certified size and a witness; for those that took it
    the fewest subproblems a mixed-integer program does so independently. ``out`` then holds
    ``exact.json``, ``exact.png``, ``exact.svg`` and a folder per net. The same call continues a
    study that was stopped.

    Raises ``Unsound`` where an attack is closer than what was certified or the two methods
    disagree, ``Invalid`` for a folder with a study by other settings or data.

    Source: Carlini, Katz, Barrett, Dill, 1709.10207, section 5.
    """
    folder, to = Path(out), watch or _Nobody()
    about = _about(plan, data)
    record = Record.open(folder / "exact.json", plan.settings(), about, "cpu", EXACT)
    nets = {name: _net(plan, name, data, folder / name, to) for name in TRAINED}
    chosen, accuracy = _chosen(plan, nets, data)
    names = [f"{name}-{i}" for name in TRAINED for i in chosen]
    document = record.write(names, summary(plan, record.cells, accuracy))
    for name, net in nets.items():
        for row in _rows(plan, name, net, data, chosen, record.cells):
            kept = record.cells.get(row["name"]) == row
            record.cells[row["name"]] = row
            document = record.write(names, summary(plan, record.cells, accuracy))
            to.image(row, kept)
    for name, content in draw_exact(document).items():
        write_bytes(folder / name, content)
    return Exact(document, folder)


def _about(plan: ExactPlan, data: Dataset) -> dict[str, Any]:
    train, test = data.split("train"), data.split("test")
    n, m = min(plan.train_n, len(train)), min(_CHUNK, len(test))
    hashes = {"train_sha256": train.sha256(n), "test_sha256": test.sha256(m)}
    return {"data": data.name, "train_samples": n, "test_samples": m, **hashes}


def _net(plan: ExactPlan, name: str, data: Dataset, folder: Path, to: Follow) -> nn.Module:
    training = plan.training(name, data.shape, data.classes)
    model = fresh(training)
    trained(training, model, data, plan.train_n, folder, "cpu", lambda row: to.epoch(name, row))
    return model.eval().requires_grad_(False)


def _rows(
    plan: ExactPlan,
    name: str,
    net: nn.Module,
    data: Dataset,
    chosen: list[int],
    cells: Mapping[str, Row],
) -> Iterator[Row]:
    """Attack images side by side, bracket one after the other, then check the easiest of them.

    Rows that are known already come first, as they are.
    """
    rows = {i: cells[f"{name}-{i}"] for i in chosen if f"{name}-{i}" in cells}
    yield from rows.values()
    x, y = data.split("test").batch(np.array(chosen, dtype=np.int64))
    left = [k for k, i in enumerate(chosen) if i not in rows]
    known = attacked(plan, net, x[left], y[left]) if left else Attacked({}, x)
    for at, k in enumerate(left):
        i, one = chosen[k], slice(k, k + 1)
        row = measure_image(plan, net, x[one], y[one], known[at : at + 1])
        rows[i] = {"name": f"{name}-{i}", "training": name, "index": i, **row}
        yield rows[i]
    easiest = sorted(chosen, key=lambda i: rows[i]["spent"])
    for i in easiest[: plan.programs]:
        if rows[i]["program"] is None:
            one = slice(chosen.index(i), chosen.index(i) + 1)
            yield {**rows[i], "program": check_image(plan, net, x[one], y[one], rows[i])}


def _chosen(
    plan: ExactPlan, nets: dict[str, nn.Module], data: Dataset
) -> tuple[list[int], dict[str, float]]:
    """First images that every net gets right, and each net's accuracy on the first thousand."""
    x, y = data.split("test").batch(slice(0, _CHUNK))
    right: dict[str, Tensor] = {}
    with torch.no_grad():
        for name, net in nets.items():
            right[name] = net(x).argmax(1) == y
    both = torch.stack(list(right.values())).all(0).nonzero().flatten().tolist()
    return both[: plan.images], {name: float(r.double().mean()) for name, r in right.items()}
