"""A run's numbers where a dashboard reads them, beside the CSV that is always there."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from saddlepoint.train.history import Epoch
from saddlepoint.train.loggers import Logger, opened
from saddlepoint.train.progress import Display, Silent

__all__ = ["recorded"]


@contextlib.contextmanager
def recorded(
    logger: Logger | str | None,
    folder: Path,
    steps: int,
    done: int,
    params: Mapping[str, Any] | None = None,
) -> Iterator[Display]:
    """Open the log of the run in ``folder``, ``done`` epochs of ``steps`` steps old.

    Logged are ``train/loss`` at each look at the losses, ``train/lr`` and ``held_out/clean``,
    ``/robust``, ``/own``, ``/certified`` after each epoch, all over the number of steps. What the
    user is told, such as the guard's events, is logged as text by TensorBoard, elsewhere counted as
    ``train/events``. A continued run goes on from its last saved epoch; what TensorBoard was told
    after that is taken back. An epoch that the guard undoes stays to be seen: its steps appear
    twice. params: what the run was told.
    """
    if logger is None:
        yield Silent()
        return
    with opened(logger, folder, params, purge=steps * done + 1) as writer:
        yield _log(writer, steps, done)


def _log(writer: Any, steps: int, done: int) -> Display:  # noqa: ANN401 - a Logger
    class Log:
        count, events = steps * done, 0

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
            self.events += 1
            if hasattr(getattr(writer, "experiment", None), "add_text"):
                writer.experiment.add_text("events", text, self.count)
            else:
                writer.log_metrics({"train/events": self.events}, self.count)

    return Log()
