"""Reading the files of a run: JSON, npz and safetensors only, nothing that can run code."""

import contextlib
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saddlepoint.core.errors import BadData

__all__ = ["Arrays", "Columns", "read_json", "read_npz", "read_witnesses"]

Arrays = Mapping[str, NDArray[Any]]
_IN_MEMORY = 64 << 20  # bytes of arrays that are read at once


def _absent(_constant: str) -> None:
    """Stand in for NaN and Infinity, which JSON does not know: no value."""


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in ``path``; BadData when it is missing, unreadable or not one."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"), parse_constant=_absent)
    except FileNotFoundError:
        raise BadData(f"{path}: missing; is this the folder of a finished audit?") from None
    except (OSError, ValueError, RecursionError) as e:
        raise BadData(f"{path}: not readable as JSON ({e})") from e
    if not isinstance(value, dict):
        raise BadData(f"{path}: holds a {type(value).__name__}, not a JSON object")
    return value


class Columns(Mapping[str, NDArray[Any]]):
    """Arrays of a large archive, each read when it is asked for and kept by nobody."""

    def __init__(self, path: Path, names: list[str]) -> None:
        self.path, self.names = path, names

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self.names:
            raise KeyError(name)
        with _opened(self.path) as archive:
            array: NDArray[Any] = archive[name]
            return array

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def read_npz(path: Path, at_once: int = _IN_MEMORY) -> Arrays:
    """Return the arrays in ``path``; object arrays, being pickles, are refused with BadData.

    Of archives with more than ``at_once`` bytes of arrays, those that are asked for are read.
    """
    with _opened(path) as archive:
        if sum(member.file_size for member in archive.zip.infolist()) > at_once:
            return Columns(path, list(archive.files))
        return {name: archive[name] for name in archive.files}


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with path.open("rb") as file:  # ours to close, whatever np.load makes of it
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise BadData(f"{path}: a single array, not an npz archive")
            with archive:
                yield archive
    except FileNotFoundError:
        raise BadData(f"{path}: missing; the run is incomplete") from None
    except BadData:
        raise
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as e:
        raise BadData(f"{path}: truncated, corrupt or unsafe ({e})") from e


def read_witnesses(path: Path) -> NDArray[np.int64]:
    """Return the sample indices (k,) of the witnesses in ``path``, without loading the inputs."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as stored:
            index = np.asarray(stored.get_tensor("index"))
            rows = stored.get_slice("x_adv").get_shape()[:1]
    except FileNotFoundError:
        raise BadData(f"{path}: missing; broken samples need their witnesses") from None
    except (SafetensorError, OSError, ValueError) as e:
        raise BadData(f"{path}: not a readable witness file ({e})") from e
    if index.ndim != 1 or index.dtype.kind not in "iu" or rows != [len(index)]:
        raise BadData(f"{path}: x_adv and index do not belong together")
    return index.astype(np.int64)
