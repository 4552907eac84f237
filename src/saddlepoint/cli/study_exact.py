"""The second experiment of ``study``, which joins the first: ``study exact``."""

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

if TYPE_CHECKING:
    from saddlepoint.train import Epoch

__all__ = ["app", "exact_command"]


@app.command("exact")
@readable
def exact_command(
    quick: Annotated[
        bool, typer.Option("--quick", help="Ten images on a sixth of the data: 5 minutes.")
    ] = False,
    data: Annotated[
        str, typer.Option("--data", help="mnist, digits, an .npz file or a folder of images.")
    ] = "mnist",
    out: Annotated[Path, typer.Option("--out", help="Folder for nets, numbers and figure.")] = Path(
        "runs/study-exact"
    ),
    seed: SeedOption = None,
) -> None:
    """Show how far attacks are from the smallest change: Carlini et al. (arXiv:1709.10207).

    Branch and bound finds the L_inf distance of the nearest break of 20 images under two small
    nets, trained naturally and adversarially; a mixed-integer program checks it on some of them.
    The same command continues a study that was stopped.

    Example: saddlepoint study exact --quick --out exact
    """
    from saddlepoint.data import load_data
    from saddlepoint.studies import ExactPlan, run_exact

    plan = ExactPlan.quick(seed or 0) if quick else ExactPlan(seed=seed or 0)
    study = run_exact(plan, load_data(data), out, watch=Lines())
    OUT.print(exact_table(study.document))
    factor = study.document["factor"]
    OUT.print(Text(f"adversarial training multiplies the mean distance by {factor:.2f}"))
    OUT.print(Text(f"figure: {out / 'exact.png'}"))


class Lines:
    """A line for each epoch and image, on standard error."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)

    def epoch(self, name: str, row: "Epoch") -> None:
        """Say how training goes."""
        self._console.print(Text(f"{name}: epoch {row.epoch}, loss {row.loss:.3f}"))

    def image(self, row: dict[str, Any], kept: bool) -> None:
        """Say what an image came to."""
        ends = f"[{row['lower']:.4f}, {row['upper']:.4f}]"
        program = f", program {row['program']['state']}" if row["program"] else ""
        after = " (kept)" if kept else f", {row['seconds']:.0f} s"
        self._console.print(Text(f"{row['name']}: {ends} {row['state']}{program}{after}"))


def exact_table(document: dict[str, Any]) -> Table:
    """A column per net: accuracy, mean distance, how much further each attack is on average."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    nets = document["nets"]
    for name in ("", *nets):
        table.add_column(name, justify="right" if name else "left")
    rows = {
        "clean": [percent(net["clean"]) for net in nets.values()],
        "images": [str(net["images"]) for net in nets.values()],
        "mean distance": ["{:.4f}-{:.4f}".format(*net["distance"]) for net in nets.values()],
    }
    for attack in next(iter(nets.values()))["attacks"]:
        means = [net["attacks"][attack]["mean"] for net in nets.values()]
        rows[f"{attack}: times that"] = ["-" if m is None else f"{m:.3f}" for m in means]
    for label, said in rows.items():
        table.add_row(label, *said)
    return table
