"""Train one cell, or continue to, and measure the net that training ends with."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from saddlepoint.audit.stats import clopper_pearson
from saddlepoint.core.files import write_bytes
from saddlepoint.core.found import Found
from saddlepoint.core.search import search
from saddlepoint.data import Dataset
from saddlepoint.models import build
from saddlepoint.studies.cell import Cell
from saddlepoint.studies.plan import CapacityPlan
from saddlepoint.threats import Linf
from saddlepoint.train import Diverged, Epoch, TrainPlan, train
from saddlepoint.train.progress import untold

__all__ = ["OnEpoch", "Row", "accuracy", "errors", "fresh", "measure_cell", "trained"]

Row = dict[str, Any]
OnEpoch = Callable[[Epoch], None]


def measure_cell(
    plan: CapacityPlan, cell: Cell, data: Dataset, folder: Path, device: str, on_epoch: OnEpoch
) -> Row:
    """Return the cell's row of ``capacity.json``; a run that diverges is a row as well.

    status: ``complete``, or ``diverged`` with a message and without accuracies. final_loss: mean
    training objective of the last epoch, in nats. clean, fgsm, pgd: accuracy of the last epoch's
    weights on the test samples; see ``accuracy``. seconds: of training and measuring.
    """
    begin = time.monotonic()
    training = plan.training(cell, data.shape, data.classes)
    model = fresh(training)
    about: Row = {
        "name": cell.name,
        "multiplier": cell.multiplier,
        "width": cell.width,
        "training": cell.training,
        "parameters": sum(p.numel() for p in model.parameters()),
        "plan": training.describe(),
    }
    try:
        history = trained(training, model, data, plan.train_n, folder, device, on_epoch)
    except Diverged as error:
        seconds = round(time.monotonic() - begin, 2)
        none = dict.fromkeys(("final_loss", "clean", *plan.attacks()))
        return {**about, **none, "seconds": seconds, "status": "diverged", "message": str(error)}
    begin = time.monotonic()
    accuracy = _measured(plan, model.to(device), data)
    # A run that was stopped took longer than this process knows.
    seconds = sum(e.seconds for e in history) + time.monotonic() - begin
    about |= {"final_loss": history[-1].loss, **accuracy, "seconds": round(seconds, 2)}
    return {**about, "status": "complete", "message": None}


def fresh(training: TrainPlan) -> nn.Module:
    """Return the untrained net: equal for all trainings of a width, the caller's seed untouched."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        return build(training.arch, training.shape, training.classes, training.options)


def _save(model: nn.Module, path: Path) -> None:
    from safetensors.torch import save

    write_bytes(
        path, save({k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()})
    )


def trained(
    training: TrainPlan,
    model: nn.Module,
    data: Dataset,
    n: int,
    folder: Path,
    device: str,
    on_epoch: OnEpoch,
) -> tuple[Epoch, ...]:
    """Train ``model`` in place to the weights of the last epoch.

    A training run leaves those of its best epoch, which would hide a collapse, so the last ones are
    kept beside them as ``last.safetensors``.
    """
    from safetensors.torch import load

    last, half = folder / "last.safetensors", data.split("train")
    n = min(n, len(half))

    def keep(row: Epoch) -> None:
        if row.epoch == training.epochs:
            _save(model, last)
        on_epoch(row)

    @untold()
    def run() -> tuple[Epoch, ...]:
        return train(
            training,
            model,
            half.x[:n],
            half.y[:n],
            folder,
            device=device,
            on_epoch=keep,
            progress=False,
            data=data.name,
            data_sha256=half.sha256(n),
        ).history

    history = run()
    if not last.exists():  # killed between the last epoch and the line that keeps its weights
        shutil.rmtree(folder)
        model.load_state_dict(fresh(training).state_dict())
        history = run()
    model.load_state_dict(load(last.read_bytes()))
    return history


def _measured(plan: CapacityPlan, model: nn.Module, data: Dataset) -> Row:
    half = data.split("test")
    x, y = half.batch(slice(0, min(plan.test_n, len(half))))
    row: Row = {}
    for name, attack in plan.attacks().items():
        found = search(
            attack, model, x, y, Linf(eps=plan.eps), seed=plan.seed, precision=plan.precision
        )
        if found.error is not None:
            raise RuntimeError(f"{attack!r} failed on the test samples:\n{found.error}")
        if not row:
            row["clean"] = accuracy(int((found.clean_margin <= 0).sum()), len(y), 0)
        row[name] = accuracy(int((~found.broken).sum()), len(y), errors(found))
    return row


def errors(found: Found) -> int:
    """Count the samples that could not be judged."""
    return sum(s.value == "error" for s in found.status)


def accuracy(hits: int, n: int, errors: int) -> Row:
    """Return the share of samples that nothing broke, with its exact 95 % interval.

    Broken is a sample that the net gets wrong at any point the attack asked about, the sample
    itself included: accuracy under attack is never above clean accuracy. errors: how many of the
    unbroken are so only because the net's answers were not finite.
    """
    low, high = clopper_pearson(hits, n)
    return {"accuracy": hits / n, "n": n, "interval": [low, high], "errors": errors}
