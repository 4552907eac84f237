"""The verbs ``data list``, ``data fetch`` and ``data check``."""

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from saddlepoint.cli.console import OUT
from saddlepoint.cli.errors import readable

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="List, fetch and check data sets.")

NameArgument = Annotated[str, typer.Argument(help="digits, mnist, cifar10, an .npz or a folder.")]


@app.command("list")
@readable
def list_command() -> None:
    """Show the data sets known by name, and where each was found."""
    from saddlepoint.data import DATASETS, status

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("name", "shape", "classes", "train", "test", "where", "terms"):
        table.add_column(name, overflow="fold")
    for name in DATASETS:
        s = status(name)
        where = str(s.where) if s.where else "ships with a package" if s.ready else "not fetched"
        shape = "x".join(map(str, s.shape))
        numbers = (str(s.classes), f"{s.n_train:,}", f"{s.n_test:,}")
        table.add_row(s.name, shape, *numbers, Text(where), Text(s.terms))
    OUT.print(table)


@app.command("fetch")
@readable
def fetch_command(
    name: Annotated[str, typer.Argument(help="digits, mnist or cifar10.")],
) -> None:
    """Download a data set from its official source into the cache, and verify its sha256."""
    from saddlepoint.data import fetch

    paths = fetch(name)
    OUT.print(Text("\n".join(map(str, paths)) or f"{name} ships with a package"))


@app.command("check")
@readable
def check_command(name: NameArgument) -> None:
    """Read a whole data set and compare it with what is on record; exit 2 when it differs."""
    from saddlepoint.data import check

    found = check(name)
    OUT.print(Text(f"{found.name}: ok, shape {found.shape}, {found.classes} classes"))
    if found.train_sha256:
        OUT.print(Text(f"train sha256 {found.train_sha256}"))
    OUT.print(Text(f"test  sha256 {found.test_sha256}"))
    for note in found.notes:
        OUT.print(Text(f"note: {note}"))
