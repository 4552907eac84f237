"""A command in several processes: one of them speaks, and when one fails all end."""

import contextlib
import os
import signal
from collections.abc import Iterator

import typer

from saddlepoint.audit.team import Elsewhere, Team, gathered
from saddlepoint.cli.console import OUT
from saddlepoint.cli.errors import say

__all__ = ["joined"]


@contextlib.contextmanager
def joined() -> Iterator[Team]:
    """Join the processes that torchrun has started; of several that fail, one says why."""
    with gathered() as team:
        OUT.quiet = not team.first
        try:
            yield team
        except (Exception, KeyboardInterrupt) as error:
            if team.size == 1 or isinstance(error, typer.Exit) or _debugging():
                raise
            # Ctrl-C reaches each process twice, by the terminal and by torchrun.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            team.call_off()
            raise _last_words(team, error) from None
        finally:
            OUT.quiet = False


def _debugging() -> bool:
    return bool(os.environ.get("SADDLEPOINT_DEBUG"))


def _last_words(team: Team, error: BaseException) -> typer.Exit:
    """Say why all end, unless another process does."""
    silent = isinstance(error, Elsewhere) or not team.speaks()
    if silent and team.hears():
        return typer.Exit(1)
    code = say(error)
    team.spoken()
    return code
