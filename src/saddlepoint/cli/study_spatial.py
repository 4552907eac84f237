"""The third experiment of ``study``: rotations and shifts."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from saddlepoint.cli.console import OUT, percent
from saddlepoint.cli.errors import readable
from saddlepoint.cli.options import SeedOption
from saddlepoint.cli.study import app
from saddlepoint.cli.subject import pick_device

if TYPE_CHECKING:
    from saddlepoint.train import Epoch

__all__ = ["app", "spatial_command"]

COLUMNS = {
    "clean": "clean",
    "random": "random",
    "worst_of": "worst/10",
    "first_order": "ascent",
    "grid": "grid",
    "refined": "refined",
}


@app.command("spatial")
@readable
def spatial_command(
    quick: Annotated[
        bool, typer.Option("--quick", help="A smaller net, 20,000 and 500 images: a minute or two.")
    ] = False,
    data: Annotated[
        str, typer.Option("--data", help="mnist, digits, an .npz file or a folder of images.")
    ] = "mnist",
    out: Annotated[Path, typer.Option("--out", help="Folder for nets, numbers and figure.")] = Path(
        "runs/study-spatial"
    ),
    seed: SeedOption = None,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1 …")] = "cpu",
) -> None:
    """Show what rotations and shifts leave of accuracy: Engstrom et al. (arXiv:1712.02779).

    A net is trained naturally, on random rotations and shifts (±30 degrees, ±3 pixels) and on the
    worst of ten, and measured on the published grid, by refinement and along gradients. It takes
    under ten minutes on two cores. The same command continues a study that was stopped.

    Example: saddlepoint study spatial --quick --out spatial
    """
    from saddlepoint.data import load_data
    from saddlepoint.studies import SpatialPlan, run_spatial

    plan = SpatialPlan.quick(seed or 0) if quick else SpatialPlan(seed=seed or 0)
    where = str(pick_device(device))
    study = run_spatial(plan, load_data(data), out, device=where, watch=Lines())
    OUT.print(spatial_table(study.document))
    OUT.print(Text(f"figure: {out / 'spatial.png'}"))


class Lines:
    """A line for each epoch and attack, on standard error."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)

    def epoch(self, name: str, row: "Epoch") -> None:
        """Say how training goes."""
        self._console.print(Text(f"{name}: epoch {row.epoch}, loss {row.loss:.3f}"))

    def attacked(self, name: str, attack: str, row: dict[str, Any]) -> None:
        """Say what an attack leaves."""
        left = percent(row["accuracy"])
        said = f"{name}: {COLUMNS[attack]} leaves {left}, {row['passes']:.0f} passes per sample"
        self._console.print(Text(said))

    def net(self, row: dict[str, Any], kept: bool) -> None:
        """Say that a net is done."""
        after = "kept" if kept else f"{row['seconds']:.0f} s"
        said = row["message"] or "done"
        self._console.print(Text(f"{row['name']}: {said} ({after})"))


def spatial_table(document: dict[str, Any]) -> Table:
    """One row per net: what is left of its accuracy."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("training", *COLUMNS.values(), "seconds"):
        table.add_column(name, justify="left" if name == "training" else "right")
    order = ("natural", "augmented", "worst-of-k")
    for row in sorted(document["cells"], key=lambda r: order.index(r["training"])):
        said = [percent(row[k]["accuracy"]) if row[k] else "-" for k in COLUMNS]
        table.add_row(row["training"], *said, f"{row['seconds']:.0f}")
    return table
