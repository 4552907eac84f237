"""Files that are either whole or not there."""

import contextlib
import errno
import os
from pathlib import Path

__all__ = ["write_atomic"]


def write_atomic(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content`` in one step: a kill or a full disk leaves the old file whole.

    Written beside its target, flushed to the disk, then renamed. Raises ``OSError`` with the same
    number and a message that says what is safe.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise _explained(error, path, len(content)) from error
    except BaseException:  # Ctrl-C between two lines must not leave the half file either
        temporary.unlink(missing_ok=True)
        raise


def _explained(error: OSError, path: Path, size: int) -> OSError:
    reason = os.strerror(error.errno) if error.errno else str(error)
    hint = "free some space, then" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "then"
    return OSError(
        error.errno,
        f"{reason}: could not write {path.name} ({size / 1e6:.1f} MB); what was saved before is "
        f"whole; {hint} run the same again to continue",
        str(path),
    )
