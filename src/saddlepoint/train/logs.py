"""A run's numbers where a dashboard reads them, beside the CSV that is always there."""

import contextlib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from saddlepoint.core.errors import Invalid, Missing, closest
from saddlepoint.train.history import Epoch
from saddlepoint.train.progress import Display, Silent

__all__ = ["LOGGERS", "check_logger", "recorded"]

LOGGERS = ("tensorboard",)


def check_logger(logger: str | None) -> None:
    """Raise ``Invalid`` for an unknown logger, ``Missing`` where its package is not installed.

    >>> check_logger("tensorbord")
    Traceback (most recent call last):
    saddlepoint.core.errors.Invalid: logger = 'tensorbord': must be None or 'tensorboard'; did ...
    """
    if logger is None:
        return
    if logger not in LOGGERS:
        raise Invalid("logger", logger, "None or 'tensorboard'", closest(logger, LOGGERS))
    if find_spec("tensorboard") is None:
        raise Missing("tensorboard", "track")


@contextlib.contextmanager
def recorded(logger: str | None, folder: Path, steps: int, done: int) -> Iterator[Display]:
    """Open the log of the run in ``folder``, ``done`` epochs of ``steps`` steps old.

    Written to ``folder/tensorboard``: ``train/loss`` at each look at the losses, ``train/lr`` and
    ``held_out/clean``, ``/robust``, ``/own``, ``/certified`` after each epoch, all over the number
    of steps; what the user is told, such as the guard's events, as text. A continued run goes on
    from its last saved epoch; what was logged after that is taken back. An epoch that the guard
    undoes stays to be seen: its steps appear twice.
    """
    if logger is None:
        yield Silent()
        return
    from lightning_fabric.loggers.tensorboard import TensorBoardLogger

    # purge_step: readers drop what a killed run logged beyond its last saved epoch.
    writer = TensorBoardLogger(folder, "tensorboard", "", purge_step=steps * done + 1)

    class Log:
        count = steps * done

        def step(self, loss: float, count: int = 1) -> None:
            self.count += count
            writer.log_metrics({"train/loss": loss}, self.count)

        def epoch(self, row: Epoch) -> None:
            held = {
                "clean": row.clean,
                "robust": row.robust,
                "own": row.own,
                "certified": row.certified,
            }
            scalars = {f"held_out/{k}": v for k, v in held.items() if v is not None}
            writer.log_metrics({**scalars, "train/lr": row.lr}, self.count)
            writer.save()

        def back(self) -> None:
            self.count -= steps

        def say(self, text: str) -> None:
            writer.experiment.add_text("events", text, self.count)

    try:
        yield Log()
    finally:
        writer.finalize("")
