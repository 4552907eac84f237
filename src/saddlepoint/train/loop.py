"""The outer minimum: the one call that trains a model, or continues to."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from saddlepoint.train.checkpoint import Folder
from saddlepoint.train.device import hardware
from saddlepoint.train.fit import check_model
from saddlepoint.train.guard import Event
from saddlepoint.train.history import Epoch
from saddlepoint.train.loggers import Logger, check_logger
from saddlepoint.train.logs import recorded
from saddlepoint.train.plan import TrainPlan
from saddlepoint.train.progress import Both, display
from saddlepoint.train.restore import left_as_found
from saddlepoint.train.run import Run
from saddlepoint.train.samples import Samples

__all__ = ["Trained", "train"]


@dataclass(frozen=True, eq=False)
class Trained:
    """The model with the weights of its best epoch, in eval mode, and how it came about.

    history: one ``Epoch`` each. best_epoch: from 1, the one with the highest robust held-out
    accuracy (clean for natural training, certified where bounds are trained), the later where
    equal. folder: where all this is kept.
    events: what the guard saw.
    """

    model: nn.Module
    history: tuple[Epoch, ...]
    best_epoch: int
    folder: Path
    events: tuple[Event, ...] = ()

    @property
    def best(self) -> Epoch:
        """The measurements of the best epoch."""
        return self.history[self.best_epoch - 1]

    def __repr__(self) -> str:
        return f"Trained({self.best}, folder={str(self.folder)!r})"


def train(
    plan: TrainPlan,
    model: nn.Module,
    x_train: Any,  # noqa: ANN401 - numpy, torch, or rows read from disk
    y_train: Any,  # noqa: ANN401
    out: str | Path,
    *,
    device: str = "cpu",
    on_epoch: Callable[[Epoch], None] | None = None,
    progress: bool = True,
    data: str | None = None,
    data_sha256: str | None = None,
    compiled: bool = False,
    strategy: str = "auto",
    logger: Logger | str | None = None,
) -> Trained:
    """Minimise E max over u in threat(x) of loss(model(apply(x, u)), y) (1706.06083, eq. 2.1).

    model: maps (B, *shape) in [0, 1] to logits (B, classes); trained in place, left in eval mode,
    on its device, with its ``requires_grad`` (frozen parameters stay as they are; parts that are in
    eval mode within a model in train mode stay so while it learns). x_train: (N,
    *shape), uint8 or floats in [0, 1]. y_train: (N,) class indices. out: the run's folder; the same
    call continues a run that was stopped, to bit-identical weights on the CPU, and returns at once
    when it is complete. device: cpu, cuda, cuda:1, auto. on_epoch: called after each epoch is
    saved. data, data_sha256: name and checksum for the model card. compiled: let ``torch.compile``
    fuse the passes, which pays after some minutes and needs a C++ compiler. logger: None,
    ``tensorboard`` or ``csv``, written to ``out``, ``wandb``, ``mlflow``, or a ``Logger`` of
    lightning-fabric; ``history.csv`` is there in any case.

    Under torchrun the same call trains data-parallel: each process takes its share of every batch,
    which keeps its size, and the curve is that of one process up to the order of sums. ``out`` has
    to be a folder that all processes see; the first one writes. Batch norm is the exception: each
    process normalises by its own share (``torch.nn.SyncBatchNorm`` exists on CUDA only), and the
    running statistics of the first are kept. strategy: ``auto`` (``ddp`` in several processes),
    ``ddp``, or ``fsdp``, which splits weights and optimizer state between processes; it is tested
    with gloo on CPUs, not on CUDA. on_epoch is called in every process.

    Raises ``Invalid`` and ``BadData`` before any work for what cannot be, in all processes when
    they disagree; ``Missing`` without the package of ``logger``; ``Diverged`` when the loss is not
    finite; ``OSError`` when the disk is full. Ctrl-C keeps the completed epochs.

    >>> import tempfile, torch
    >>> from saddlepoint import Linf
    >>> x, y = torch.rand(40, 1, 4, 4), torch.arange(40) % 2
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    >>> plan = TrainPlan(
    ...     arch="mlp", shape=(1, 4, 4), classes=2, threat=Linf(eps=0.1), epochs=1, batch_size=16
    ... )
    >>> with tempfile.TemporaryDirectory() as out:
    ...     trained = train(plan, net, x, y, out, progress=False)
    >>> trained.best_epoch, trained.model.training
    (1, False)
    """
    check_logger(logger)
    samples = Samples.of(plan, x_train, y_train)
    check_model(plan, model, samples)
    held_out = len(samples.held_out)
    folder = Folder(
        Path(out),
        plan,
        samples.sha256,
        data_sha256,
        data,
        hardware(device, strategy, compiled),
        {"held_out": held_out, "attacked": min(plan.check_n, held_out)},
    )
    state = folder.open()
    if not state.complete:
        with left_as_found(model, device), contextlib.ExitStack() as held:
            run = Run.start(model, samples, folder, device, state, held, compiled, strategy)
            first, steps = run.learner.fabric.is_global_zero, samples.steps * plan.replays
            done, said = len(state.history), plan.describe()
            with (
                display(steps, plan.epochs, done, progress and first) as shown,
                recorded(logger if first else None, folder.path, steps, done, said) as logged,
            ):
                state = run.finish(state, Both(shown, logged), on_epoch)
            # The best weights are written before another process reads them.
            run.learner.fabric.barrier()
    folder.load_best(model)
    return Trained(model.eval(), state.history, state.best_epoch, folder.path, state.events)
