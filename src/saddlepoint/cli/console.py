"""What the command line prints: progress while it works, tables when it is done."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from saddlepoint.audit.progress import line_after

__all__ = ["OUT", "AuditProgress", "Shown", "counted_bar", "percent"]

OUT = Console(highlight=False)


def percent(share: float) -> str:
    """Two decimals, as robustness tables print them.

    >>> percent(0.8234)
    '82.34 %'
    """
    return f"{100 * share:.2f} %"


class Shown:
    """A bar that is on the screen inside ``with``."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()


def counted_bar() -> Progress:
    """A bar that says how many are done and how long the rest takes."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=OUT,
        transient=True,
    )


class AuditProgress(Shown):
    """A bar for the attack that runs, and a line for each that has finished."""

    def __init__(self, total: int) -> None:
        super().__init__(counted_bar())
        self.total, self._name = total, ""
        self._task: TaskID | None = None

    def __call__(self, name: str, done: int, todo: int, broken: int) -> None:
        """Show how far one attack has come."""
        if self._task is None or name != self._name:
            if self._task is not None:
                self._bar.remove_task(self._task)
            shown = "measuring the report's figures" if name == "figures" else name
            self._task, self._name = self._bar.add_task(shown, total=todo or None), name
        self._bar.update(self._task, completed=done)
        if line := line_after(name, done, todo, broken, self.total):
            self._bar.console.print(Text(line))
