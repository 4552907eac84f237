"""The experiment ``study eot``."""

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

__all__ = ["app", "eot_command"]

METHODS = {
    "original": "original",
    "smallest": "one view, smallest",
    "pushed": "one view, pushed",
    "eot": "all views",
}


@app.command("eot")
@readable
def eot_command(
    quick: Annotated[
        bool, typer.Option("--quick", help="Two scenes, 20 images, a fifth of the data: 2 minutes.")
    ] = False,
    data: Annotated[
        str, typer.Option("--data", help="mnist, digits, an .npz file or a folder of images.")
    ] = "mnist",
    out: Annotated[Path, typer.Option("--out", help="Folder for nets, numbers and figure.")] = Path(
        "runs/study-eot"
    ),
    seed: SeedOption = None,
) -> None:
    """Show what survives a change of view: Athalye et al. (arXiv:1707.07397).

    In each scene (a picture that is turned, tilted and lit; a cube and a sphere that carry it as
    their texture) two attacks see one fixed view, for the smallest change and for the strongest,
    and a third climbs the mean over random views; fresh views judge all. The same command continues
    a study that was stopped.

    Example: saddlepoint study eot --quick --out eot
    """
    from saddlepoint.data import load_data
    from saddlepoint.studies import EotPlan, run_eot

    plan = EotPlan.quick(seed or 0) if quick else EotPlan(seed=seed or 0)
    study = run_eot(plan, load_data(data), out, watch=Lines())
    OUT.print(eot_table(study.document))
    OUT.print(Text(f"figure: {out / 'eot.png'}"))


class Lines:
    """A line for each epoch and scene, on standard error."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)

    def epoch(self, name: str, row: "Epoch") -> None:
        """Say how training goes."""
        said = f"{name}: epoch {row.epoch}, loss {row.loss:.3f}, {percent(row.clean)} of views"
        self._console.print(Text(said))

    def scene(self, name: str, row: dict[str, Any], kept: bool) -> None:
        """Say what a scene came to."""
        rates = ", ".join(f"{word} {percent(row[m]['target'])}" for m, word in METHODS.items())
        after = " (kept)" if kept else ""
        self._console.print(Text(f"{name}: views taken for the target: {rates}{after}"))


def eot_table(document: dict[str, Any]) -> Table:
    """A row per scene and method: fresh views taken for target and label, witnesses that hold."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("scene", "witness of", "target", "interval", "own class", "hold", "at home"):
        table.add_column(name, justify="left" if name in ("scene", "witness of") else "right")
    for scene, row in document["scenes"].items():
        for method, word in METHODS.items():
            said = row[method]
            low, high = (percent(end) for end in said["interval"])
            held = [f"{said[k]}/{row['images']}" for k in ("hold", "home")]
            rates = [percent(said["target"]), f"{low}-{high}", percent(said["label"])]
            table.add_row(scene if method == "original" else "", word, *rates, *held)
    return table
