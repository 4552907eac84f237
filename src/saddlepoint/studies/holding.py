"""A study and its folder: one command at a time."""

import contextlib
import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from saddlepoint.core.files import full_disk
from saddlepoint.core.lock import alone

__all__ = ["holding"]

P = ParamSpec("P")
R = TypeVar("R")


def holding(run: Callable[P, R]) -> Callable[P, R]:
    """Let ``run`` hold its folder, the argument ``out``, for as long as it goes on.

    Two commands in one folder would each replace the record by what it knows itself. Raises
    ``Invalid`` where another process holds it. A folder made here is taken away if it stays empty.
    """

    @functools.wraps(run)
    def held(*args: P.args, **kwargs: P.kwargs) -> R:
        folder = Path(inspect.signature(run).bind(*args, **kwargs).arguments["out"])
        if folder.exists() and not folder.is_dir():
            return run(*args, **kwargs)  # which says so
        new = not folder.exists()
        with full_disk(folder):
            folder.mkdir(parents=True, exist_ok=True)
        with alone(folder):
            try:
                return run(*args, **kwargs)
            finally:
                if new:
                    with contextlib.suppress(OSError):  # it holds something
                        folder.rmdir()

    return held
