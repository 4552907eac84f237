"""The verb ``report``."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from saddlepoint.audit.report import Run, write_report
from saddlepoint.cli.console import OUT

__all__ = ["report_command"]


def report_command(
    runs: Annotated[list[Path], typer.Argument(help="Folders of finished runs.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="File to write; default: report.html in the run.")
    ] = None,
    title: Annotated[str | None, typer.Option("--title", help="Heading of the report.")] = None,
    show: Annotated[bool, typer.Option("--open", help="Show the report in the browser.")] = False,
) -> None:
    """Write the report of one run again, or one report that compares several.

    Example: saddlepoint report run --open
    """
    target = out or (runs[0] / "report.html" if len(runs) == 1 else Path("report.html"))
    path = write_report([Run.load(r) for r in runs], target, title)
    OUT.print(Text(f"report: {path}"))
    if show and not _opened(path):
        OUT.print(Text("no browser was found: open the file by hand", style="yellow"))


def _opened(path: Path) -> bool:
    """Whether a browser took the file; a machine without one or without display is no error."""
    try:
        return webbrowser.open(path.resolve().as_uri())
    except (webbrowser.Error, OSError):
        return False
