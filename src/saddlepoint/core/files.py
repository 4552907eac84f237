"""Files that are either whole or not there."""

import contextlib
import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["full_disk", "write_bytes", "write_file"]


@contextlib.contextmanager
def full_disk(path: Path) -> Iterator[None]:
    """Turn the error of a full disk or a read-only one into words about ``path``."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OSError(
                error.errno,
                f"the disk is full: {path} was not written; what was finished before is kept. "
                "Free some space and run the same command again",
            ) from error
        if error.errno in (errno.EROFS, errno.EACCES):
            raise OSError(
                error.errno,
                f"{path} cannot be written ({os.strerror(error.errno)}): choose a folder on "
                "another disk, or copy this one there to go on with it",
            ) from error
        raise


def write_file(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, then move it into place.

    A reader, a kill or a full disk never meets half a file. Raises ``OSError`` with what to do when
    the disk is full.
    """
    with full_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix
        )
        os.close(handle)
        part = Path(name)
        try:
            write(part)
            with part.open("rb") as f:
                os.fsync(f.fileno())
            part.chmod(0o644)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` in one piece."""
    write_file(path, lambda part: part.write_bytes(content))
