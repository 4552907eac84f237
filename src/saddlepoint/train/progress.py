"""What the user sees while training runs: one bar with the time left, one line per epoch."""

import contextlib
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Protocol

from saddlepoint.core.interrupts import forget
from saddlepoint.train.history import Epoch

__all__ = ["Both", "Display", "Silent", "display", "time_left", "untold"]


class Display(Protocol):
    """What the loop tells the screen, or whoever else follows the run."""

    def step(self, loss: float, count: int = 1) -> None:
        """That many steps are done, the last with this loss."""
        ...

    def epoch(self, row: Epoch) -> None:
        """One epoch is measured and saved."""
        ...

    def back(self) -> None:
        """Take one epoch of steps back."""
        ...

    def say(self, text: str) -> None:
        """Show a sentence to the user."""
        ...


class Silent:
    """Shows nothing."""

    def step(self, loss: float, count: int = 1) -> None:
        """Ignore it."""

    def epoch(self, row: Epoch) -> None:
        """Ignore it."""

    def back(self) -> None:
        """Ignore it."""

    def say(self, text: str) -> None:
        """Ignore it."""


@contextlib.contextmanager
def untold() -> Iterator[None]:
    """Take the words from a Ctrl-C that ends a silent run, so that whoever shows more says them."""
    try:
        yield
    except KeyboardInterrupt as stop:
        forget(stop)
        raise


class Both:
    """Tells two displays the same."""

    def __init__(self, one: Display, other: Display) -> None:
        self._all = (one, other)

    def step(self, loss: float, count: int = 1) -> None:
        """Pass it on."""
        for to in self._all:
            to.step(loss, count)

    def epoch(self, row: Epoch) -> None:
        """Pass it on."""
        for to in self._all:
            to.epoch(row)

    def back(self) -> None:
        """Pass it on."""
        for to in self._all:
            to.back()

    def say(self, text: str) -> None:
        """Pass it on."""
        for to in self._all:
            to.say(text)


def time_left(seconds: float, ran: int, left: int) -> str:
    """Return the time that ``left`` steps take, when ``ran`` of this session took ``seconds``.

    Epochs of an earlier session cost this one nothing and do not count. The time of measuring
    after each epoch does: it is spread over the steps.

    >>> time_left(30.0, 10, 20), time_left(0.0, 0, 20)
    ('0:01:00', '-:--:--')
    """
    return str(timedelta(seconds=round(seconds / ran * left))) if ran else "-:--:--"


@contextlib.contextmanager
def display(steps: int, epochs: int, done: int, show: bool) -> Iterator[Display]:
    """Open a bar of ``epochs`` times ``steps``, ``done`` epochs of it full; on standard error."""
    if not show:
        yield Silent()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[left]}", style="progress.remaining"),
        TextColumn("{task.fields[loss]}{task.fields[last]}"),
    )
    begin, shown = time.monotonic(), {"left": time_left(0, 0, 0), "loss": "", "last": ""}
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=steps * epochs, completed=steps * done, **shown)  # type: ignore[arg-type]

        class Bar:
            count, ran = steps * done, 0

            def step(self, loss: float, count: int = 1) -> None:
                said = f"epoch {min(self.count // steps + 1, epochs)}/{epochs}"
                self.count, self.ran = self.count + count, self.ran + count
                left = time_left(time.monotonic() - begin, self.ran, steps * epochs - self.count)
                now = {"left": left, "loss": f"loss {loss:.4f}"}
                bar.update(task, completed=self.count, description=said, **now)  # type: ignore[arg-type]

            def epoch(self, row: Epoch) -> None:
                sure = "" if row.certified is None else f"  certified {row.certified:.1%}"
                last = f"  clean {row.clean:.1%}  robust {row.robust:.1%}{sure}"
                bar.update(task, last=last)
                bar.console.print(str(row), highlight=False)

            def back(self) -> None:
                self.count -= steps
                bar.update(task, completed=self.count)

            def say(self, text: str) -> None:
                bar.console.print(text, highlight=False, markup=False)

        yield Bar()
