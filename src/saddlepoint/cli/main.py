"""``saddlepoint``: the command line."""

import sys
from typing import Annotated

import typer

from saddlepoint.cli import data, studies
from saddlepoint.cli.audit import attack_command, audit_command
from saddlepoint.cli.compare import compare_command
from saddlepoint.cli.curve import curve_command
from saddlepoint.cli.demo import demo_command
from saddlepoint.cli.doctor import doctor_command
from saddlepoint.cli.errors import readable, say
from saddlepoint.cli.query import query_command
from saddlepoint.cli.recipes import recipes_command
from saddlepoint.cli.replay import replay_command
from saddlepoint.cli.report import report_command
from saddlepoint.cli.smooth import smooth_command
from saddlepoint.cli.train import train_command
from saddlepoint.cli.universal import universal_command
from saddlepoint.cli.verify import verify_command
from saddlepoint.core.interrupts import interrupt_behind

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 a claim does not hold, 2 bad input, 3 internal error, "
    "130 interrupted; `verify` has its own.",
)
app.command("train")(readable(train_command))
app.command("audit")(readable(audit_command))
app.command("attack")(readable(attack_command))
app.command("curve")(readable(curve_command))
app.command("smooth")(readable(smooth_command))
app.command("universal")(readable(universal_command))
app.command("query")(readable(query_command))
app.command("replay")(readable(replay_command))
app.command("compare")(readable(compare_command))
app.command("report")(readable(report_command))
app.command("verify")(readable(verify_command))
app.command("recipes")(readable(recipes_command))
app.command("demo")(readable(demo_command))
app.command("doctor")(readable(doctor_command))
app.add_typer(data.app, name="data")
app.add_typer(studies.app, name="study")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib import metadata

        typer.echo(f"saddlepoint {metadata.version('saddlepoint')}")
        raise typer.Exit


@app.callback()
def top(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Tell whether a machine-learning model can be relied on, and train models that can."""


def main() -> None:
    """Run the command line."""
    try:
        app(prog_name="saddlepoint")
    except (Exception, KeyboardInterrupt, SystemExit) as end:
        # Interrupted before a command has begun, Typer ends without a word, or leaves it to us.
        if interrupt_behind(end) is None or getattr(end, "code", 130) != 130:
            raise
        sys.exit(say(end).exit_code)
