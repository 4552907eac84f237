"""The verb ``compare``."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from saddlepoint.audit import Comparison, compare
from saddlepoint.audit.comparison import Side
from saddlepoint.audit.store import write_json
from saddlepoint.cli.console import OUT, percent
from saddlepoint.core.errors import Invalid

__all__ = ["compare_command", "regression_words", "show"]

SHOWN, CLASSES = 20, 10


def compare_command(
    first: Annotated[Path, typer.Argument(metavar="RUN_A", help="Folder of the earlier run.")],
    second: Annotated[Path, typer.Argument(metavar="RUN_B", help="Folder of the later run.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="A JSON file to write, such as compare.json.")
    ] = None,
    samples: Annotated[
        bool, typer.Option("--samples", help=f"Print all changed samples, not {SHOWN} of a kind.")
    ] = False,
    fail_on_regression: Annotated[
        bool,
        typer.Option(
            "--fail-on-regression", help="Exit 1 when RUN_B is worse by more than chance explains."
        ),
    ] = False,
) -> None:
    """Compare two audits of the same samples: what is newly broken, newly safe, and is it chance.

    Samples on which an attack failed, or none was run, are undecided: neither broken nor safe.
    RUN_B is worse when it has more newly broken than newly safe samples and the exact McNemar test
    has p < 0.05. --fail-on-regression exits 1 then, and also when it would be so if all undecided
    samples that may be newly broken were.

    Example: saddlepoint compare runs/last runs/new --out compare.json --fail-on-regression
    """
    if out is not None and out.is_dir():
        raise Invalid("out", str(out), "a file, not a folder", f"try {out / 'compare.json'}")
    found = compare(first, second)
    show(found, samples)
    if out is not None:
        write_json(out, found.as_json())
        OUT.print(Text(f"comparison: {out}"))
    if fail_on_regression and found.regression != "no":
        OUT.print(Text(regression_words(found), style="bold red"))
        raise typer.Exit(1)


def show(found: Comparison, samples: bool = False) -> None:
    """Print a comparison; ``samples``: every index of what has changed."""
    for letter, side in (("A", found.first), ("B", found.second)):
        OUT.print(Text(_run(letter, side)))
    if found.difference is not None and found.interval is not None:
        low, high = (_points(share) for share in found.interval)
        OUT.print(
            Text(f"B - A: {_points(found.difference)} points (95 % interval {low} to {high})")
        )
    OUT.print(
        Text(
            f"{found.n:,} samples: {found.robust_in_both:,} robust in both, "
            f"{found.broken_in_both:,} broken in both, {len(found.newly_broken):,} newly broken, "
            f"{len(found.newly_safe):,} newly safe, {len(found.undecided):,} undecided"
        )
    )
    for name in ("newly_broken", "newly_safe", "undecided"):
        if index := getattr(found, name):
            OUT.print(Text(f"{name.replace('_', ' ')}: {_listed(index, samples)}"))
    if table := _classes(found):
        OUT.print(table)
    for note in found.notes:
        OUT.print(Text(f"note: {note}", style="yellow"))
    OUT.print(Text(found.verdict, style="bold"))


def regression_words(found: Comparison) -> str:
    """Say why a comparison counts as a regression; empty where it does not."""
    if found.regression == "yes":
        return "regression: more samples are newly broken than chance explains"
    if found.regression == "possible":
        return (
            f"a regression cannot be ruled out: {found.may_be_broken:,} undecided samples may be "
            "newly broken; see which attacks failed, and audit again"
        )
    return ""


def _points(share: float) -> str:
    return f"{100 * share:+.2f}"


def _listed(index: tuple[int, ...], everything: bool) -> str:
    shown = ", ".join(map(str, index if everything else index[:SHOWN]))
    rest = 0 if everything else len(index) - SHOWN
    return shown + (f" … and {rest:,} more (--samples)" if rest > 0 else "")


def _run(letter: str, side: Side) -> str:
    low_high = " to ".join(map(percent, side.interval or ()))
    interval = f" (95 % interval {low_high})" if low_high else ""
    return (
        f"{letter}  {side.folder}: {side.model} under {side.threat}\n"
        f"   robust accuracy <= {percent(side.robust_accuracy)}{interval}; "
        f"clean {percent(side.clean_accuracy)}; {side.undecided:,} undecided"
    )


def _classes(found: Comparison) -> Table | None:
    """Classes that changed, the most newly broken first; None where none did."""
    changed = [c for c in found.classes if c.newly_broken or c.newly_safe]
    if len(found.classes) < 2 or not changed:
        return None
    changed.sort(key=lambda c: (c.newly_safe - c.newly_broken, c.label))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("class", "samples", "robust in A", "robust in B", "newly broken", "newly safe"):
        table.add_column(name, justify="right")
    for c in changed[:CLASSES]:
        shares = (percent(k / c.n) for k in (c.robust_first, c.robust_second))
        table.add_row(str(c.label), str(c.n), *shares, str(c.newly_broken), str(c.newly_safe))
    if len(changed) > CLASSES:
        table.add_row("…", f"{len(changed) - CLASSES} more classes changed")
    return table
