"""The verb ``verify``."""

from pathlib import Path
from typing import Annotated

import typer

from saddlepoint.cli.vnn import EXIT_CODES, recheck, solve
from saddlepoint.core.files import write_bytes
from saddlepoint.verify.vnnlib.answer import ABSOLUTE, Answer, answer_text
from saddlepoint.verify.vnnlib.decide import ByBounds

__all__ = ["verify_command"]


def verify_command(
    onnx: Annotated[Path, typer.Option("--onnx", help="The network, an .onnx file.")],
    vnnlib: Annotated[
        Path, typer.Option("--vnnlib", help="The property, a .vnnlib or .vnnlib.gz file.")
    ],
    timeout: Annotated[float, typer.Option("--timeout", help="Seconds, of wall time.")] = 60.0,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the answer here, as VNN-COMP expects it.")
    ] = None,
    check: Annotated[
        Path | None,
        typer.Option("--check", help="Verify nothing: check the counterexample in this answer."),
    ] = None,
) -> None:
    """Tell whether a network can violate a VNN-LIB property: sat, unsat, unknown or timeout.

    sat means that it can, by a counterexample that ONNX Runtime confirms; unsat that it cannot, by
    a proof. Exit codes: 10 sat, 20 unsat, 30 unknown, 40 timeout, 2 bad input. With --check: 0 when
    the counterexample holds with no tolerance, else 1.
    """
    if check is not None:
        _check(onnx, vnnlib, check)
        return
    answer = solve(onnx, vnnlib, timeout, ByBounds())
    _write(answer, out)
    raise typer.Exit(EXIT_CODES[answer.verdict])


def _write(answer: Answer, out: Path | None) -> None:
    """Print the answer, on standard output nothing else; to a file goes the counterexample."""
    for note in answer.notes:
        typer.echo(f"note: {note}", err=True)
    if out is None:
        typer.echo(answer_text(answer), nl=False)
    else:
        write_bytes(out, answer_text(answer).encode())
        typer.echo(answer.verdict)


def _check(onnx: Path, vnnlib: Path, answer: Path) -> None:
    found = recheck(onnx, vnnlib, answer)
    if not found.agrees:
        typer.echo(
            f"the stated outputs differ from ONNX Runtime's by {found.difference:.2g} of the "
            "largest: judged by the latter"
        )
    if found.exact:
        typer.echo("the counterexample holds: exact")
        return
    how = f"within the tolerance of {ABSOLUTE:g} only" if found.tolerated else "does not hold"
    typer.echo(f"the counterexample {'holds ' if found.tolerated else ''}{how}")
    raise typer.Exit(1)
