"""The verb ``study`` and its first experiment: ``study capacity``."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from saddlepoint.cli.console import OUT, Shown, percent
from saddlepoint.cli.errors import readable
from saddlepoint.cli.options import SeedOption
from saddlepoint.cli.subject import pick_device
from saddlepoint.core.errors import Invalid

if TYPE_CHECKING:
    from saddlepoint.studies import CapacityPlan, Cell
    from saddlepoint.train import Epoch

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    help="Repeat experiments of the literature, at a size that one machine can bear.",
)
V = TypeVar("V")

OutFolder = Annotated[
    Path | None,
    typer.Option(
        "--out",
        help="Folder for nets, numbers and figure; "
        "default: runs/study-capacity, with -quick at its end where that is asked for.",
    ),
]
Passes = Annotated[
    str | None,
    typer.Option(
        "--precision",
        help="bfloat16 (default), or float32, for CPUs without bfloat16.",
    ),
]


@app.command("capacity")
@readable
def capacity_command(
    quick: Annotated[
        bool, typer.Option("--quick", help="x1, x4 and x16 on a sixth of the data: ten minutes.")
    ] = False,
    data: Annotated[
        str, typer.Option("--data", help="mnist, digits, an .npz file or a folder of images.")
    ] = "mnist",
    out: OutFolder = None,
    seed: SeedOption = None,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1 …")] = "cpu",
    widths: Annotated[
        str | None, typer.Option("--widths", help="Times the narrowest net: 1,2,4,8,16.")
    ] = None,
    trainings: Annotated[
        str | None, typer.Option("--trainings", help="Of natural,fgsm,pgd.")
    ] = None,
    precision: Passes = None,
) -> None:
    """Show how much capacity robustness needs: figure 4 of Madry et al. (arXiv:1706.06083).

    Nets from x1 to x16 width are trained on natural samples, on FGSM's and on PGD's (L_inf of
    0.3), and measured under each. It takes one to two hours on two cores, --quick ten minutes. The
    same command continues a study that was stopped, and adds further --widths to it.

    Example: saddlepoint study capacity --quick --out capacity
    """
    from saddlepoint.data import load_data
    from saddlepoint.studies import CapacityPlan, run_capacity

    plan = CapacityPlan.quick(seed or 0) if quick else CapacityPlan(seed=seed or 0)
    which = _listed("widths", widths, int), _listed("trainings", trainings, str)
    plan = plan.choose(*which, precision)  # type: ignore[arg-type]
    out = out or Path("runs/study-capacity-quick" if quick else "runs/study-capacity")
    where = str(pick_device(device))
    # Says once per cell which precision it runs in, across the bar.
    logging.getLogger("lightning_fabric.utilities.rank_zero").setLevel(logging.WARNING)
    with StudyProgress(plan) as progress:
        study = run_capacity(plan, load_data(data), out, device=where, watch=progress)
    OUT.print(capacity_table(study.document))
    OUT.print(Text(f"figure: {out / 'capacity.png'}"))


def _listed(name: str, text: str | None, kind: Callable[[str], V]) -> tuple[V, ...] | None:
    if text is None:
        return None
    try:
        return tuple(kind(part.strip()) for part in text.split(","))
    except ValueError:
        hint = "such as 1,2,4"
        raise Invalid(name, text, "whole numbers with commas between them", hint) from None


class StudyProgress(Shown):
    """One bar over all cells, weighted by the time each should take, on standard error."""

    def __init__(self, plan: "CapacityPlan") -> None:
        self._plan, self._done, self._number = plan, 0.0, 0
        self._total = sum(sum(plan.seconds(cell)) for cell in plan.cells)
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        console = Console(stderr=True, highlight=False)
        # An epoch of the widest net takes minutes: its speed must not be forgotten before.
        super().__init__(
            Progress(*columns, console=console, transient=True, speed_estimate_period=3600)
        )
        self._task = self._bar.add_task("reading the data", total=self._total)

    def start(self, cell: "Cell") -> None:
        """Name the cell; the zero is where the speed is measured from."""
        self._say(cell, "starts")

    def epoch(self, cell: "Cell", row: "Epoch") -> None:
        """Move on by an epoch of the training."""
        share = row.epoch / self._plan.epochs
        self._move(self._done + share * self._plan.seconds(cell)[0])
        now = "measuring" if share == 1 else f"epoch {row.epoch}/{self._plan.epochs}"
        self._say(cell, f"{now}, loss {row.loss:.3f}")

    def end(self, cell: "Cell", row: dict[str, Any], kept: bool) -> None:
        """Print what the cell came to; one that was there already is no work to wait for."""
        cost = sum(self._plan.seconds(cell))
        self._number += 1
        if kept:
            self._total -= cost
            self._bar.update(self._task, total=self._total)
        else:
            self._done += cost
            self._move(self._done)
        said = f"{cell.name}: {_words(row)}" + (" (kept)" if kept else "")
        self._bar.console.print(Text(said))

    def _move(self, to: float) -> None:
        self._bar.update(self._task, completed=to)

    def _say(self, cell: "Cell", what: str) -> None:
        number = f"{self._number + 1} of {len(self._plan.cells)}"
        self._bar.update(self._task, description=f"{cell.name} ({number}): {what}")


def _words(row: dict[str, Any]) -> str:
    if row["status"] != "complete":
        return f"{row['status']}: {row['message']}"
    named = ("clean", "fgsm", "pgd")
    said = ", ".join(f"{name} {percent(row[name]['accuracy'])}" for name in named)
    return f"{said}, loss {row['final_loss']:.4f}, {row['seconds']:.0f} s"


def capacity_table(document: dict[str, Any]) -> Table:
    """One row per cell: accuracies, the loss of the last epoch, what it took."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("training", "width", "parameters", "clean", "FGSM", "PGD", "loss", "seconds"):
        table.add_column(name, justify="left" if name == "training" else "right")
    order = ("natural", "fgsm", "pgd")
    for row in sorted(document["cells"], key=lambda r: order.index(r["training"])):
        if row["status"] == "complete":
            said = [percent(row[name]["accuracy"]) for name in ("clean", "fgsm", "pgd")]
            said.append(f"{row['final_loss']:.4f}")
        else:
            said = [row["status"], "-", "-", "-"]
        size = (f"x{row['multiplier']}", f"{row['parameters']:,}")
        table.add_row(row["training"], *size, *said, f"{row['seconds']:.0f}")
    return table
