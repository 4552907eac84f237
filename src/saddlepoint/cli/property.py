"""``verify --onnx --vnnlib``: what is printed and written about one property."""

from pathlib import Path

import typer

from saddlepoint.cli.vnn import EXIT_CODES, recheck, solve
from saddlepoint.core.errors import Invalid
from saddlepoint.core.files import write_bytes
from saddlepoint.verify.vnnlib.answer import ABSOLUTE, Answer, answer_text
from saddlepoint.verify.vnnlib.decide import ByBounds

__all__ = ["verify_property"]


def verify_property(
    onnx: Path | None,
    vnnlib: Path | None,
    timeout: float | None,
    out: Path | None,
    check: Path | None,
) -> None:
    """Answer a property, or check the answer of somebody else; ends with the answer's exit code."""
    if onnx is None:
        raise Invalid("onnx", "<nothing>", "given: pass --onnx")
    if vnnlib is None:
        raise Invalid("vnnlib", "<nothing>", "given: pass --vnnlib")
    if check is not None:
        _check(onnx, vnnlib, check)
        return
    answer = solve(onnx, vnnlib, 60.0 if timeout is None else timeout, ByBounds())
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
