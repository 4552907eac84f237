"""The journal: one file per finished chunk, so that a run can stop anywhere and go on."""

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from saddlepoint.core.errors import BadData, Invalid
from saddlepoint.core.files import write_bytes, write_file

__all__ = ["Journal", "Record"]

Record = dict[str, np.ndarray[Any, Any]]
HEADER = "run.json"
FOLDER = "journal"


@dataclass(frozen=True)
class Journal:
    """Chunks of evidence under ``folder/journal``, or in memory where ``folder`` is None.

    A chunk is named for its round and its first row, and written whole or not at all. The header
    names plan, model and data by their hashes; a folder with another header is refused.
    """

    folder: Path | None
    begun: bool  # by this call, not by an earlier one
    memory: dict[str, Record] = field(default_factory=dict)
    taken: dict[int, list[Path]] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: Path | None, header: dict[str, Any]) -> "Journal":
        """Start a run, or continue the one that has the same header."""
        return cls(folder, folder is not None and _claim(folder, header))

    def discard(self) -> None:
        """Give the folder back when the run was refused before it began in earnest."""
        if self.folder is not None and self.begun:
            for path in (self.folder / FOLDER).glob("*.npz"):
                path.unlink()
            if (self.folder / FOLDER).exists():
                (self.folder / FOLDER).rmdir()
            (self.folder / HEADER).unlink()

    def _path(self, round_: int, first: int) -> Path:
        return Path(self.folder or ".") / FOLDER / f"{round_:03d}-{first:08d}.npz"

    def read(self, round_: int, rows: "np.ndarray[Any, Any]") -> Record | None:
        """Return the finished chunk of these rows, or None.

        A torn file or one with other rows counts as unfinished; it will be written again.
        """
        path = self._path(round_, int(rows[0]))
        try:
            record = self.memory[path.name] if self.folder is None else _load(path)
        except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile):
            return None
        if not np.array_equal(record.get("rows", np.empty(0)), rows):
            return None
        self._take(round_, path)
        return record

    def _take(self, round_: int, path: Path) -> None:
        """Remember which chunks this run is made of: a folder may hold others from before."""
        paths = self.taken.setdefault(round_, [])
        if path not in paths:
            paths.append(path)

    def records(self, round_: int) -> Iterator[Record]:
        """Every finished chunk of a round, in order of rows, one in memory at a time."""
        for path in sorted(self.taken.get(round_, [])):
            yield self.memory[path.name] if self.folder is None else _load(path)

    def write(self, round_: int, record: Record) -> None:
        """Keep a finished chunk; ``record['rows']`` says which rows it is about."""
        path = self._path(round_, int(record["rows"][0]))
        self._take(round_, path)
        if self.folder is None:
            self.memory[path.name] = record
            return

        def save(part: Path) -> None:
            with part.open("wb") as f:
                np.savez(f, allow_pickle=False, **record)

        write_file(path, save)


def _load(path: Path) -> Record:
    with path.open("rb") as f, np.load(f, allow_pickle=False) as stored:
        return {k: stored[k] for k in stored.files}


def _claim(folder: Path, header: dict[str, Any]) -> bool:
    """Write the header into a new folder, or refuse one that holds something else.

    Returns whether the folder was new.
    """
    if folder.exists() and not folder.is_dir():
        raise Invalid("out", str(folder), "a folder", "a file of that name is in the way")
    path = folder / HEADER
    if path.exists():
        try:
            found = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise BadData(f"{path} cannot be read ({error}): choose another --out") from error
        other = _differences(found, header)
        if other:
            raise Invalid(
                "out",
                str(folder),
                "an empty folder or one with the same run",
                f"it holds another run ({'; '.join(other)}): choose another --out or delete it",
            )
        return False
    if folder.exists() and any(folder.iterdir()):
        raise Invalid("out", str(folder), "an empty folder or a run's", "it holds other files")
    write_bytes(path, json.dumps(header, indent=1, sort_keys=True).encode())
    return True


def _differences(found: Any, wanted: dict[str, Any]) -> list[str]:  # noqa: ANN401 - JSON
    if not isinstance(found, dict):
        return ["its header is not a run's"]
    said = []
    for key in sorted({*found, *wanted}):
        a, b = found.get(key), wanted.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            said += _differences(a, b)
        elif a != b:
            said.append(f"{key} {_short(a)} there, {_short(b)} here")
    return said


def _short(value: Any) -> str:  # noqa: ANN401 - JSON
    text = str(value)
    return text if len(text) <= 60 else text[:20] + "…"
