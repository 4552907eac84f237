"""The verb ``recipes``, and how ``train`` finds the plan files that ship with the package."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from saddlepoint.cli.complete import RECIPES, recipe_names
from saddlepoint.cli.console import OUT
from saddlepoint.core.errors import Invalid, closest

__all__ = ["find_recipe", "recipes_command"]


def find_recipe(plan: Path | None) -> Path | None:
    """Return a plan file: the one that exists, or the recipe of that name.

    ``recipes/NAME.toml`` is a recipe's name too, so that what a clone is told works everywhere.

    >>> find_recipe(Path("digits")).name, find_recipe(Path("recipes/digits.toml")).name
    ('digits.toml', 'digits.toml')
    >>> find_recipe(Path("mine.toml"))
    PosixPath('mine.toml')
    """
    if plan is None or plan.is_file():
        return plan
    if (shipped := _shipped(plan)) is not None:
        return shipped
    if plan.suffix or len(plan.parts) > 1:
        return plan
    raise Invalid("plan", str(plan), "a plan file or a recipe", closest(plan.name, _names()))


def recipes_command(
    name: Annotated[
        str | None,
        typer.Argument(help="Print this one, to start a plan from.", autocompletion=recipe_names),
    ] = None,
) -> None:
    """List the training plans that ship with the package, or print one.

    Example: saddlepoint recipes digits > mine.toml
    """
    if name is not None:
        path = _shipped(Path(name))
        if path is None:
            raise Invalid("name", name, "a recipe", closest(name, _names()))
        typer.echo(path.read_text(), nl=False)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("recipe", "what it trains"):
        table.add_column(heading)
    for path in sorted(RECIPES.glob("*.toml"), key=lambda p: p.stem):
        table.add_row(Text(path.stem), Text(_about(path)))
    OUT.print(table)
    OUT.print(Text("\ntrain one: saddlepoint train NAME; print one: saddlepoint recipes NAME"))


def _shipped(plan: Path) -> Path | None:
    """Return the recipe of that name in the package."""
    path = RECIPES / f"{plan.name.removesuffix('.toml')}.toml"
    return path if plan.parent in (Path(), Path("recipes")) and path.is_file() else None


def _names() -> list[str]:
    return [path.stem for path in RECIPES.glob("*.toml")]


def _about(path: Path) -> str:
    """Return the comment at the head of a recipe."""
    lines = path.read_text().splitlines()
    head = lines[: next(i for i, line in enumerate(lines) if not line.startswith("#"))]
    return " ".join(line.removeprefix("#").strip() for line in head)
