"""The outer minimum: the one call that trains a model, or continues to."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from saddlepoint.train.checkpoint import Folder
from saddlepoint.train.fit import check_model
from saddlepoint.train.history import Epoch
from saddlepoint.train.plan import TrainPlan
from saddlepoint.train.progress import display
from saddlepoint.train.restore import left_as_found
from saddlepoint.train.run import Run
from saddlepoint.train.samples import Samples

__all__ = ["Trained", "train"]


@dataclass(frozen=True, eq=False)
class Trained:
    """The model with the weights of its best epoch, in eval mode, and how it came about.

    history: one ``Epoch`` each. best_epoch: from 1, the one with the highest robust held-out
    accuracy (clean for natural training), the later where equal. folder: where all this is kept.
    """

    model: nn.Module
    history: tuple[Epoch, ...]
    best_epoch: int
    folder: Path

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
    data_sha256: str | None = None,
) -> Trained:
    """Minimise E max over u in threat(x) of loss(model(apply(x, u)), y) (1706.06083, eq. 2.1).

    model: maps (B, *shape) in [0, 1] to logits (B, classes); trained in place, left in eval mode,
    on its device, with its ``requires_grad`` (frozen parameters stay as they are). x_train: (N,
    *shape), uint8 or floats in [0, 1]. y_train: (N,) class indices. out: the run's folder; the same
    call continues a run that was stopped, to bit-identical weights on the CPU, and returns at once
    when it is complete. device: cpu, cuda, cuda:1, mps, auto. on_epoch: called after each epoch is
    saved. data_sha256: recorded in the model card.

    Raises ``Invalid`` and ``BadData`` before any work for what cannot be; ``Diverged`` when the
    loss is not finite; ``OSError`` when the disk is full. Ctrl-C keeps the completed epochs.

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
    samples = Samples.of(plan, x_train, y_train)
    check_model(plan, model, samples)
    folder = Folder(Path(out), plan, samples.sha256, data_sha256)
    state = folder.open()
    if not state.complete:
        with left_as_found(model, device):
            run = Run.start(model, samples, folder, device, state)
            show = progress and run.fabric.is_global_zero
            with display(samples.steps, plan.epochs, len(state.history), show) as to:
                state = run.finish(state, to, on_epoch)
            run.fabric.barrier()  # the best weights are written before another process reads them
    folder.load_best(model)
    return Trained(model.eval(), state.history, state.best_epoch, folder.path)
