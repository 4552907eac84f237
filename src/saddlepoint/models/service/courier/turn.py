"""One courier at a time sends what a shared ledger does not hold yet."""

import os
from types import TracebackType
from typing import Any

__all__ = ["Turn"]


class Turn:
    """The right to send, held by a lock beside the ledger; a killed process lets go of it.

    Whoever waits for it sees, when it comes, all that others have asked meanwhile. A ledger in
    memory needs none, and platforms without locks grant it to everyone.
    """

    def __init__(self, path: str | None) -> None:
        self._handle: int | None = None
        if path is not None:
            self._handle = os.open(f"{path}-lock", os.O_RDWR | os.O_CREAT, 0o644)

    def __enter__(self) -> None:
        self._lock("LOCK_EX")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock("LOCK_UN")

    def _lock(self, how: str) -> None:
        try:
            import fcntl
        except ImportError:  # not Unix
            return
        locks: Any = fcntl
        if self._handle is not None:
            try:
                locks.flock(self._handle, getattr(locks, how))
            except OSError:
                return  # this file system knows no locks
