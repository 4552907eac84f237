"""Errors on the command line: one readable paragraph and an exit code, never a traceback."""

import functools
import os
from collections.abc import Callable
from typing import ParamSpec

import typer
from rich.console import Console
from rich.text import Text

from saddlepoint.cli.blame import culprit
from saddlepoint.core.errors import BadData, Invalid, Missing, Unanswered, Unsound, Unsupported
from saddlepoint.core.interrupts import interrupt_behind, is_told, told
from saddlepoint.train import Diverged

__all__ = ["readable", "say"]

P = ParamSpec("P")

# (exception, how it is introduced, exit code): the first that fits.
_KINDS: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str, int], ...] = (
    (KeyboardInterrupt, "interrupted", 130),
    ((Invalid, BadData, Unsupported, Missing, Unanswered, OSError), "error", 2),
    (Diverged, "diverged", 1),
    (Unsound, "unsound", 1),
    (Exception, "internal error", 3),
)


def _words(error: BaseException, code: int) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "what was finished is kept; the same command continues"
    if isinstance(error, OSError):
        where = f" ({error.filename})" if error.filename else ""
        return (error.strerror or str(error)) + where
    if code == 3:
        return f"{type(error).__name__}: {error} (SADDLEPOINT_DEBUG=1 shows where)"
    return str(error)


def say(error: BaseException) -> typer.Exit:
    """Print what went wrong, and return the exit that goes with it."""
    error = interrupt_behind(error) or error
    kind, code = next((name, code) for types, name, code in _KINDS if isinstance(error, types))
    words = _words(error, code)
    if code == 3 and (where := culprit(error)):
        kind, code = f"error in {where}", 2
    if is_told(error):
        return typer.Exit(code)
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(Text.assemble((f"{kind}: ", "bold red"), words))
    if isinstance(error, KeyboardInterrupt):
        told(error, words)
    return typer.Exit(code)


def readable(command: Callable[P, None]) -> Callable[P, None]:
    """Wrap a verb so that what a user can mend is said in words."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise
        except (Exception, KeyboardInterrupt) as error:
            if os.environ.get("SADDLEPOINT_DEBUG"):
                raise
            raise say(error) from None

    return wrapped
