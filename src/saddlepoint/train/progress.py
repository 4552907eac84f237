"""What the user sees while training runs: one bar with the time left, one line per epoch."""

import contextlib
from collections.abc import Iterator
from typing import Protocol

from saddlepoint.train.history import Epoch

__all__ = ["Display", "Silent", "display"]


class Display(Protocol):
    """What the loop tells the screen."""

    def step(self, loss: float) -> None:
        """One step is done."""
        ...

    def epoch(self, row: Epoch) -> None:
        """One epoch is measured and saved."""
        ...

    def say(self, text: str) -> None:
        """Show a sentence to the user."""
        ...


class Silent:
    """Shows nothing."""

    def step(self, loss: float) -> None:
        """Ignore it."""

    def epoch(self, row: Epoch) -> None:
        """Ignore it."""

    def say(self, text: str) -> None:
        """Ignore it."""


@contextlib.contextmanager
def display(steps: int, epochs: int, done: int, show: bool) -> Iterator[Display]:
    """Open a bar of ``epochs`` times ``steps``, ``done`` epochs of it full; on standard error."""
    if not show:
        yield Silent()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[loss]}{task.fields[last]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=steps * epochs, completed=steps * done, loss="", last="")

        class Bar:
            count = steps * done

            def step(self, loss: float) -> None:
                said = f"epoch {min(self.count // steps + 1, epochs)}/{epochs}"
                self.count += 1
                bar.update(task, advance=1, description=said, loss=f"loss {loss:.4f}")

            def epoch(self, row: Epoch) -> None:
                bar.update(task, last=f"  clean {row.clean:.1%}  robust {row.robust:.1%}")
                bar.console.print(str(row), highlight=False)

            def say(self, text: str) -> None:
                bar.console.print(text, highlight=False, markup=False)

        yield Bar()
