"""Several processes at one audit: who they are, and how they wait for each other."""

import contextlib
import datetime
import os
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Team", "gathered"]

# Chunks take as long as they take; a process that dies is noticed by torchrun, not by a timer.
_PATIENCE = datetime.timedelta(days=7)


@dataclass(frozen=True)
class Team:
    """Process ``rank`` of ``size``; each takes every ``size``-th chunk of a round.

    >>> Team().mine(3), Team(rank=1, size=2).mine(3), Team(rank=1, size=2).mine(4)
    (True, True, False)
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process speaks and writes for all."""
        return self.rank == 0

    def mine(self, chunk: int) -> bool:
        """Whether the chunk of this number is this process's to do."""
        return chunk % self.size == self.rank

    def wait(self) -> None:
        """Go on when every process has come here."""
        if self.size > 1:
            import torch.distributed

            torch.distributed.barrier()


@contextlib.contextmanager
def gathered() -> Iterator[Team]:
    """Join the processes that torchrun has started; one process is a team of its own."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Team()
        return
    import torch.distributed

    torch.distributed.init_process_group("gloo", timeout=_PATIENCE)
    try:
        yield Team(torch.distributed.get_rank(), size)
    finally:
        torch.distributed.destroy_process_group()
