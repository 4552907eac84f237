"""One folder, one run at a time."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from saddlepoint.core.errors import Invalid

__all__ = ["alone"]


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold ``folder`` for as long as the context lasts; a killed process lets go of it.

    Raises ``Invalid`` where another process holds it. File systems and platforms without locks
    grant it to everyone.
    """
    try:
        import fcntl
    except ImportError:  # not Unix
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            allowed = "a folder that no other process is using"
            raise Invalid(
                "out", str(folder), allowed, "wait for it to end, or choose another"
            ) from error
        except OSError:
            pass  # this file system knows no locks
        yield
    finally:
        os.close(handle)
