"""Errors on the command line: one readable paragraph and an exit code, never a traceback."""

import functools
from collections.abc import Callable
from typing import ParamSpec

import typer
from rich.console import Console
from rich.text import Text

from saddlepoint.core.errors import BadData, Invalid, Missing, Unsound, Unsupported
from saddlepoint.train import Diverged

__all__ = ["readable"]

P = ParamSpec("P")


def _say(kind: str, text: str, code: int) -> typer.Exit:
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(Text.assemble((f"{kind}: ", "bold red"), text))
    return typer.Exit(code)


def readable(command: Callable[P, None]) -> Callable[P, None]:
    """Wrap a verb so that what a user can mend is said in words."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except KeyboardInterrupt:
            said = "what was finished is kept; the same command continues"
            raise _say("interrupted", said, 130) from None
        except BrokenPipeError:
            raise
        except (Invalid, BadData, Unsupported, Missing) as error:
            raise _say("error", str(error), 2) from None
        except OSError as error:
            where = f" ({error.filename})" if error.filename else ""
            raise _say("error", (error.strerror or str(error)) + where, 2) from None
        except Diverged as error:
            raise _say("diverged", str(error), 1) from None
        except Unsound as error:
            raise _say("unsound", str(error), 1) from None

    return wrapped
