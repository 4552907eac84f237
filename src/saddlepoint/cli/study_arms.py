"""An experiment of ``study``, which joins the others: ``study arms-race``."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from saddlepoint.cli.console import OUT, percent
from saddlepoint.cli.errors import readable
from saddlepoint.cli.options import SeedOption
from saddlepoint.cli.study import app

__all__ = ["app", "arms_command"]


@app.command("arms-race")
@readable
def arms_command(
    quick: Annotated[
        bool, typer.Option("--quick", help="50 images, a quarter of the data: 3 minutes.")
    ] = False,
    data: Annotated[
        str, typer.Option("--data", help="mnist, digits, an .npz file or a folder of images.")
    ] = "mnist",
    out: Annotated[Path, typer.Option("--out", help="Folder for nets, numbers and figure.")] = Path(
        "runs/study-arms-race"
    ),
    seed: SeedOption = None,
) -> None:
    """Show defences that fell: each as claimed, and attacked by one who knows it.

    Defensive distillation, feature squeezing, specialists, a detector and an outlier class are
    trained, audited as their claims were and by adaptive attacks (arXiv:1608.04644, 1705.07263,
    1706.04701). The same command continues a study that was stopped. Nets are made for images of
    8 x 8 and more.

    Example: saddlepoint study arms-race --quick --out arms-race
    """
    from saddlepoint.data import load_data
    from saddlepoint.studies import ArmsPlan, run_arms

    plan = ArmsPlan.quick(seed or 0) if quick else ArmsPlan(seed=seed or 0)
    study = run_arms(plan, load_data(data), out, watch=Lines())
    OUT.print(arms_table(study.document))
    OUT.print(Text(f"figure: {out / 'arms-race.png'}"))


class Lines:
    """A line for each defence, on standard error."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)

    def link(self, row: dict[str, Any], kept: bool) -> None:
        """Say what a defence came to."""
        ends = f"claimed {_said(row, 'claimed')}, true {_said(row, 'true')}"
        after = " (kept)" if kept else f", {row['seconds']:.0f} s"
        self._console.print(Text(f"{row['name']}: {ends}{after}"))


def arms_table(document: dict[str, Any]) -> Table:
    """One row per defence: accuracies, and what flags the audit of the claim."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("defence", "set", "clean", "no defence", "claimed", "true", "flagged by"):
        table.add_column(name, justify="left" if name in ("defence", "set") else "right")
    table.columns[-1].justify = "left"
    for row in document["cells"]:
        shares = [_said(row, key) for key in ("clean", "undefended", "claimed", "true")]
        flags = ", ".join(name.rpartition(":")[0] for name in row["flagged"]["claimed"])
        table.add_row(row["defence"], row["threat"], *shares, flags or "nothing")
    return table


def _said(row: dict[str, Any], key: str) -> str:
    return percent(row[key]["accuracy"])
