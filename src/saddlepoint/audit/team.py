"""Several processes at one audit: who they are, how they wait for each other, and end together."""

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from saddlepoint.train.device import processes

__all__ = ["Elsewhere", "Team", "gathered"]

_GATHERINGS = (
    itertools.count()
)  # a script may audit more than once: each time on a board of its own
_PATIENCE = 10.0  # seconds to hear the last words of another process


class Elsewhere(RuntimeError):
    """Another process of the team has failed, and this one has to end with it."""


@dataclass(frozen=True)
class Team:
    """Process ``rank`` of ``size``; each takes every ``size``-th chunk of a round.

    board: a ``torch.distributed.Store`` that all see, None in one process. Nothing else passes
    between processes: a process that waits looks at the board, so that none waits for the dead.

    >>> Team().mine(3), Team(rank=1, size=2).mine(3), Team(rank=1, size=2).mine(4)
    (True, True, False)
    """

    rank: int = 0
    size: int = 1
    board: Any = field(default=None, repr=False)

    @property
    def first(self) -> bool:
        """Whether this process speaks and writes for all."""
        return self.rank == 0

    def mine(self, chunk: int) -> bool:
        """Whether the chunk of this number is this process's to do."""
        return chunk % self.size == self.rank

    def heed(self) -> None:
        """Raise ``Elsewhere`` where another process has failed."""
        if self.board is not None and _read(lambda: self.board.check(["failed"])):
            raise Elsewhere("another process of this audit failed: its message says why")

    def wait(self) -> None:
        """Go on when every process has come here; raises ``Elsewhere`` where one never will."""
        if self.board is None:
            return
        # Nobody comes to the next meeting before this one is complete: the count tells them apart.
        come = _read(lambda: self.board.add("come", 1))
        complete = -(-come // self.size) * self.size
        for _ in _looks():
            if _read(lambda: self.board.add("come", 0)) >= complete:
                return
            self.heed()

    def call_off(self) -> None:
        """Tell the others that this process has failed."""
        if self.board is not None:
            with contextlib.suppress(Elsewhere):
                _read(lambda: self.board.set("failed", ""))

    def speaks(self) -> bool:
        """Whether this process is the first of those that have something to say."""
        if self.board is None:
            return True
        with contextlib.suppress(Elsewhere):
            return bool(_read(lambda: self.board.add("speakers", 1)) == 1)
        return True  # the board is gone, and with it whoever hears

    def spoken(self) -> None:
        """Tell the others that this process has said why it failed."""
        if self.board is not None:
            with contextlib.suppress(Elsewhere):
                _read(lambda: self.board.set("spoken", ""))

    def hears(self) -> bool:
        """Whether another process says, before long, why it failed."""
        until = time.monotonic() + _PATIENCE
        with contextlib.suppress(Elsewhere):
            for _ in _looks():
                if _read(lambda: self.board.check(["spoken"])):
                    return True
                if time.monotonic() > until:
                    break
        return False


def _read(ask: Callable[[], Any]) -> Any:  # noqa: ANN401 - what the store answers
    try:
        return ask()
    except RuntimeError as error:  # torch raises subclasses of it where the connection is lost
        raise Elsewhere("the other processes of this audit are gone") from error


def _looks() -> Iterator[None]:
    """Look often at first, then five times a second."""
    pause = 0.001
    while True:
        yield
        time.sleep(pause)
        pause = min(pause * 1.3, 0.2)


@contextlib.contextmanager
def gathered() -> Iterator[Team]:
    """Join the processes that torchrun has started; one process is a team of its own.

    >>> with gathered() as team:
    ...     team
    Team(rank=0, size=1)
    """
    if processes() == 1:
        yield Team()
        return
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    store, rank, size = next(rendezvous("env://"))
    team = Team(rank, size, PrefixStore(f"saddlepoint-{next(_GATHERINGS)}", store))
    try:
        yield team
    except BaseException:
        team.call_off()
        raise
