"""Write witnesses.safetensors, one chunk of the journal in memory at a time."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from saddlepoint.audit.breaks import breaks
from saddlepoint.audit.evidence import Evidence
from saddlepoint.audit.journal import Journal
from saddlepoint.core.files import write_file

__all__ = ["write_witnesses"]

Array = np.ndarray[Any, Any]
_TYPES = {"int64": "I64", "float32": "F32", "float64": "F64", "uint8": "U8"}  # as safetensors says


@dataclass(frozen=True)
class _Part:
    """A tensor of the file, and the column of the journal that it is filled from."""

    name: str
    dtype: "np.dtype[Any]"
    shape: tuple[int, ...]
    column: str = ""

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


def write_witnesses(path: Path, e: Evidence, journal: Journal, header: dict[str, str]) -> int:
    """Perturbed inputs of broken samples with their indices and attacks; returns how many.

    A sample that several rounds have broken keeps the witness of the first. Of a set whose
    parameters are not the perturbation, they are kept as ``u``. The file is what safetensors
    writes.
    """
    first = e.broken_by()
    index = np.flatnonzero(first >= 0)
    columns = {"attack": first[index].astype(np.int64), "index": index}
    parts = [_Part(k, v.dtype, v.shape) for k, v in columns.items()]
    empty = next(journal.records(0))
    for name, column in (("u", "witness_u"), ("x_adv", "witness")):
        if column in empty:
            like = empty[column]
            parts.append(_Part(name, like.dtype, (len(index), *like.shape[1:]), column))
    # The larger types come first, then the alphabet.
    parts.sort(key=lambda p: (-p.dtype.itemsize, p.dtype.kind != "i", p.name))
    # One key, since safetensors writes several in an order that changes from run to run.
    head = _head({"saddlepoint": json.dumps(header, sort_keys=True)}, parts)

    def save(to: Path) -> None:
        with to.open("wb") as f:
            f.write(head)
            f.truncate(len(head) + sum(p.size for p in parts))
        start = len(head)
        for part in parts:
            whole = columns.get(part.name)
            pieces = breaks(e, journal, what=part.column) if whole is None else [(index, whole)]
            for rows, content in pieces:
                # Mapped for the moment: what stays mapped counts as memory of the process.
                place = np.memmap(to, part.dtype, "r+", start, part.shape)
                place[np.searchsorted(index, rows)] = content
            start += part.size

    write_file(path, save)
    return len(index)


def _head(about: dict[str, str], parts: list[_Part]) -> bytes:
    """Length and JSON header of a safetensors file."""
    said: dict[str, Any] = {"__metadata__": about}
    end = 0
    for p in parts:
        begin, end = end, end + p.size
        offsets = [begin, end]
        said[p.name] = {
            "dtype": _TYPES[p.dtype.name],
            "shape": list(p.shape),
            "data_offsets": offsets,
        }
    text = json.dumps(said, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text
