"""Files that are either whole or not there."""

import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

__all__ = ["write_bytes", "write_file"]


def write_file(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, then move it into place.

    A reader, a kill or a full disk never meets half a file. Raises ``OSError`` with what to do when
    the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    part = Path(name)
    try:
        write(part)
        with part.open("rb") as f:
            os.fsync(f.fileno())
        part.chmod(0o644)
        part.replace(path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OSError(
                error.errno,
                f"the disk is full: {path} was not written; what was finished before is kept. "
                "Free some space and run the same command again",
            ) from error
        raise
    finally:
        part.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` in one piece."""
    write_file(path, lambda part: part.write_bytes(content))
