"""The binary version of CIFAR-10, read from its tarball without unpacking it to disk."""

import tarfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from saddlepoint.core.errors import BadData

__all__ = ["read_cifar10"]

_RECORD = 1 + 3 * 32 * 32
_MEMBERS = (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")


def read_cifar10(path: Path, per_file: int = 10_000) -> tuple[NDArray[np.uint8], ...]:
    """Return (x_train, y_train, x_test, y_test), images as (N, 3, 32, 32), all uint8.

    Layout: six members of ``per_file`` records, one byte label and 3072 bytes pixels, channels
    first. Members are read by name, and only when they have the right size.
    Source: Krizhevsky, "Learning multiple layers of features from tiny images", 2009.
    """
    found = _members(path, per_file * _RECORD)
    missing = [name for name in _MEMBERS if name not in found]
    if missing:
        raise BadData(f"{path}: lacks {', '.join(missing)}: not the binary version of CIFAR-10")
    records = [found[name].reshape(per_file, _RECORD) for name in _MEMBERS]
    train, test = np.concatenate(records[:5]), records[5]
    return *_images(train), *_images(test)


def _images(records: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0]


def _members(path: Path, size: int) -> dict[str, NDArray[np.uint8]]:
    found: dict[str, NDArray[np.uint8]] = {}
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                name = member.name.rpartition("/")[2]
                if name not in _MEMBERS or not member.isfile():
                    continue
                if member.size != size:
                    raise BadData(f"{path}: {name} has {member.size} bytes, expected {size}")
                stream = archive.extractfile(member)
                if stream is not None:
                    found[name] = np.frombuffer(stream.read(size), dtype=np.uint8)
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise BadData(f"{path}: truncated or corrupt ({error}): fetch it again") from error
    return found
