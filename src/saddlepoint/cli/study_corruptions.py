"""The fourth experiment of ``study``: common corruptions."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from saddlepoint.cli.console import OUT, percent
from saddlepoint.cli.errors import readable
from saddlepoint.cli.options import ArchOption, ModelOption, SeedOption
from saddlepoint.cli.study import app
from saddlepoint.cli.subject import pick_device

if TYPE_CHECKING:
    from saddlepoint.core.door import Model
    from saddlepoint.data import Dataset
    from saddlepoint.train import Epoch

__all__ = ["app", "corruptions_command"]


@app.command("corruptions")
@readable
def corruptions_command(
    quick: Annotated[
        bool, typer.Option("--quick", help="300 images, severities 1, 3 and 5: two minutes.")
    ] = False,
    model: ModelOption = None,
    arch: ArchOption = None,
    data: Annotated[
        str, typer.Option("--data", help="mnist, digits, cifar10, an .npz file or a folder.")
    ] = "mnist",
    out: Annotated[Path, typer.Option("--out", help="Folder for nets, numbers and figure.")] = Path(
        "runs/study-corruptions"
    ),
    n: Annotated[int | None, typer.Option("--n", help="Use the first N test samples.")] = None,
    draws: Annotated[
        int | None, typer.Option("--draws", help="Random patterns per sample and cell (5).")
    ] = None,
    seed: SeedOption = None,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1 …")] = "cpu",
) -> None:
    """Show accuracy by corruption and severity, after Hendrycks and Dietterich (arXiv:1903.12261).

    A given --model is measured; without one, three nets are trained and compared: naturally, on
    gaussian noise, and adversarially. Needs kornia: pip install 'saddlepoint[environment]'. The
    same command continues a study that was stopped.

    Example: saddlepoint study corruptions --quick --out corruptions
    """
    from dataclasses import replace

    from saddlepoint.data import load_data
    from saddlepoint.studies import CorruptionsPlan, run_corruptions

    plan = CorruptionsPlan.quick(seed or 0) if quick else CorruptionsPlan(seed=seed or 0)
    plan = replace(
        plan,
        test_n=plan.test_n if n is None else n,
        draws=plan.draws if draws is None else draws,
    )
    dataset, where = load_data(data), str(pick_device(device))
    models = None if model is None else _loaded(model, arch, dataset, where)
    study = run_corruptions(plan, dataset, out, models=models, device=where, watch=Lines())
    OUT.print(corruptions_table(study.document))
    OUT.print(Text(f"figure: {out / 'corruptions.png'}"))


def _loaded(model: str, arch: str | None, data: "Dataset", device: str) -> "dict[str, Model]":
    from torch import nn

    from saddlepoint.models import load_model

    loaded = load_model(model, arch, data.shape, data.classes if ":" in (arch or model) else None)
    if loaded.note:
        OUT.print(Text(f"note: {loaded.note}", style="yellow"))
    net = loaded.model.to(device) if isinstance(loaded.model, nn.Module) else loaded.model
    return {Path(model).stem: net}


class Lines:
    """A line for each epoch and each corruption, on standard error."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)

    def epoch(self, name: str, row: "Epoch") -> None:
        """Say how training goes."""
        self._console.print(Text(f"{name}: epoch {row.epoch}, loss {row.loss:.3f}"))

    def cell(self, row: dict[str, Any], kept: bool) -> None:
        """Say what a cell came to."""
        said = f"{row['name']}: {percent(row['accuracy'])}, worst of {row['draws']} "
        self._console.print(Text(said + percent(row["worst"]) + (" (kept)" if kept else "")))


def corruptions_table(document: dict[str, Any]) -> Table:
    """A column per net: clean, each corruption's mean over severities, and what all come to."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    nets = document["nets"]
    for name in ("", *nets):
        table.add_column(name, justify="right" if name else "left")
    table.add_row("clean", *(percent(net["clean"]) for net in nets.values()))
    for name in document["settings"]["names"]:
        means = (net["corruptions"][name] for net in nets.values())
        table.add_row(name.replace("_", " "), *map(percent, means))
    for label, key in (
        ("mean", "mean"),
        ("mean, worst of the draws", "worst"),
        ("right in every cell and draw", "all"),
    ):
        table.add_row(label, *(percent(net[key]) for net in nets.values()))
    return table
