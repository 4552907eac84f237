"""Files from the network: to a temporary name, checked, and only then in their place."""

import errno
import hashlib
import http.client
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from saddlepoint.core.errors import BadData

__all__ = ["RemoteFile", "download", "file_sha256"]

_CHUNK = 1 << 18
_TIMEOUT = 30.0  # seconds without a byte


@dataclass(frozen=True)
class RemoteFile:
    """A file that is known by its content: SHA-256, length in bytes, and where it is offered."""

    name: str
    sha256: str
    size: int
    urls: tuple[str, ...]


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def download(
    file: RemoteFile, folder: Path, advance: Callable[[int], object] = lambda _: None
) -> Path:
    """Fetch ``file`` into ``folder`` from the first address that delivers it unaltered.

    ``advance`` is told the number of bytes as they arrive. What is not complete and verified never
    gets the final name, and temporary files are removed whatever happens. Raises ``BadData`` that
    lists what went wrong at every address, or that the folder cannot be written to.
    """
    target = folder / file.name
    faults = []
    for url in file.urls:
        part = _temporary(folder, file.name)
        try:
            digest = _receive(url, part, file.size, advance)
            if digest != file.sha256:
                raise BadData(f"sha256 is {digest}, expected {file.sha256}")
            part.replace(target)
            return target
        except (OSError, ValueError, http.client.HTTPException) as error:
            _stop_if_local(error, folder)
            faults.append(f"  {url}: {_reason(error)}")
        finally:
            part.unlink(missing_ok=True)
    raise BadData("\n".join([f"{file.name} could not be downloaded:", *faults]))


def _temporary(folder: Path, name: str) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, path = tempfile.mkstemp(prefix=f".{name}-", suffix=".part", dir=folder)
    except OSError as error:
        _stop_if_local(error, folder)
        raise BadData(f"{folder} cannot be written to ({error.strerror}): {_ELSEWHERE}") from error
    os.close(handle)
    return Path(path)


_ELSEWHERE = "choose another cache with XDG_CACHE_HOME"


def _stop_if_local(error: Exception, folder: Path) -> None:
    """Raise when the disk is at fault: another address would not help."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        raise BadData(
            f"no space left in {folder}; the unfinished file was removed: "
            f"free some space, or {_ELSEWHERE}"
        ) from error


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.URLError) and not isinstance(error, urllib.error.HTTPError):
        return str(error.reason)
    return str(error) or type(error).__name__


def _receive(url: str, part: Path, size: int, advance: Callable[[int], object]) -> str:
    """Write what ``url`` delivers to ``part`` and return its SHA-256; stop at ``size`` bytes."""
    if not url.startswith(("https://", "http://")):
        raise BadData("only http and https are fetched")
    digest, received = hashlib.sha256(), 0
    with (
        urllib.request.urlopen(url, timeout=_TIMEOUT) as response,  # noqa: S310 - checked above
        part.open("wb") as stream,
    ):
        while chunk := response.read(_CHUNK):
            received += len(chunk)
            if received > size:
                raise BadData(f"more than the expected {size} bytes arrived")
            digest.update(chunk)
            stream.write(chunk)
            advance(len(chunk))
    if received < size:
        raise BadData(f"the connection ended after {received} of {size} bytes")
    return digest.hexdigest()
