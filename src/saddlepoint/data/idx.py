"""The IDX format of MNIST: a big-endian header and the bytes, gzip-compressed."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from saddlepoint.core.errors import BadData

__all__ = ["read_idx"]


def read_idx(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return the bytes of a gzip-compressed IDX file that must hold an array of ``shape``.

    Layout: two zero bytes, the type (8: unsigned byte), the rank, one big-endian uint32 per
    dimension, the data in row order. No more is unpacked than ``shape`` needs, so that a small
    file cannot fill the memory. Raises ``BadData`` when anything differs.
    """
    size = 4 + 4 * len(shape) + math.prod(shape)
    try:
        with gzip.open(path) as stream:
            content = stream.read(size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise BadData(f"{path}: truncated or corrupt ({error}): fetch it again") from error
    header = struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape)
    if not content.startswith(header):
        raise BadData(f"{path}: not an IDX file of bytes with shape {shape}")
    if len(content) != size:
        more = "more" if len(content) > size else f"{len(content)}"
        raise BadData(f"{path}: expected {size} bytes for shape {shape}, found {more}")
    return np.frombuffer(content, dtype=np.uint8, offset=len(header)).reshape(shape)
