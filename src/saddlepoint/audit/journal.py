"""The journal: finished chunks, appended to a file, so that a run can stop anywhere and go on."""

import contextlib
import io
import json
import os
import struct
import tempfile
import zipfile
import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

import numpy as np

from saddlepoint.core.errors import BadData, Invalid
from saddlepoint.core.files import full_disk, write_bytes
from saddlepoint.core.metered import LEDGER

__all__ = ["Journal", "Record"]

Record = dict[str, np.ndarray[Any, Any]]
HEADER = "run.json"
FOLDER = "journal"
# Before each record: a mark, the run it belongs to, its round, which attempt at it this is, its
# first row, length and CRC-32.
_FRAME = struct.Struct("<4s16sIIQQI")
_MARK = b"SPj1"
_DAMAGE = (OSError, KeyError, ValueError, EOFError, struct.error, zipfile.BadZipFile)
_IN_MEMORY = 64 << 20  # bytes of a journal without a folder; what exceeds them lies on disk
_FILES = 1 << 16  # at most, so that a place is one number: offset * _FILES + file


@dataclass
class Journal:
    """Chunks of evidence in files under ``folder/journal``, or in one without a name.

    Each process appends to a file of its own and reads all of them. A record is framed by its
    length and checksum, so that one cut short by a kill is recognised, dropped and done again.
    ``run.json`` names plan, model and data by their hashes; a folder with another header, and a
    record of another run, are refused.

    places: by round and first row. taken: the first rows of finished chunks by round. Both are
    small: a run of ten million samples has a hundred thousand chunks in each round.
    """

    folder: Path | None
    key: bytes
    begun: bool  # by this call, not by an earlier one
    rank: int = 0
    places: dict[int, dict[int, int]] = field(default_factory=dict)
    taken: dict[int, "array[int]"] = field(default_factory=dict)
    seen: dict[int, int] = field(default_factory=dict)
    _file: IO[bytes] | None = None

    @classmethod
    def open(cls, folder: Path | None, header: dict[str, Any], rank: int = 0) -> "Journal":
        """Start a run, or continue the one that has the same header."""
        text = json.dumps(header, indent=1, sort_keys=True)
        key = sha256(text.encode()).digest()[:16]
        begun = folder is not None and _claim(folder, header, text)
        journal = cls(folder, key, begun, rank)
        journal.refresh()
        return journal

    def refresh(self) -> None:
        """Take in what this and other processes have appended since the last look."""
        if self.folder is None:
            return
        for path in sorted((self.folder / FOLDER).glob("*.records")):
            number = int(path.stem)
            self.seen[number] = self._scan(number, path, self.seen.get(number, 0))

    def _scan(self, number: int, path: Path, start: int) -> int:
        """Index whole records from ``start`` on; return where the last of them ends."""
        size = path.stat().st_size
        with path.open("rb") as f:
            while start + _FRAME.size <= size:
                f.seek(start)
                mark, key, round_, attempt, first, length, _ = _FRAME.unpack(f.read(_FRAME.size))
                if mark != _MARK:
                    break  # a hole that a crash left: what follows cannot be trusted
                if key != self.key:
                    raise BadData(
                        f"{path} holds a record of another run at byte {start}: "
                        "choose another --out, or delete the folder"
                    )
                end = start + _FRAME.size + length
                if end > size:
                    break
                if self._attempt(round_, first) <= attempt:
                    self.places.setdefault(round_, {})[first] = start * _FILES + number
                start = end
        return start

    def _path(self, number: int) -> Path:
        return Path(self.folder or ".") / FOLDER / f"{number:04d}.records"

    def _attempt(self, round_: int, first: int) -> int:
        """How often a chunk was done again; -1 before it was done at all."""
        place = self.places.get(round_, {}).get(first)
        return -1 if place is None else self._frame(place)[0]

    def _frame(self, place: int, content: bool = False) -> tuple[int, int, bytes]:
        """Attempt, checksum and, where it is wanted, content of the record at a place."""
        offset, number = divmod(place, _FILES)
        with contextlib.ExitStack() as opened:
            f = self._file
            if self.folder is not None or f is None:
                f = opened.enter_context(self._path(number).open("rb"))
            f.seek(offset)
            *_, attempt, _, length, crc = _FRAME.unpack(f.read(_FRAME.size))
            return attempt, crc, f.read(length) if content else b""

    def discard(self) -> None:
        """Give the folder back when the run was refused before it began in earnest."""
        if self.folder is not None and self.begun:
            self.close()
            for path in (self.folder / FOLDER).glob("*.records"):
                path.unlink(missing_ok=True)
            if (self.folder / FOLDER).exists():
                (self.folder / FOLDER).rmdir()
            (self.folder / HEADER).unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the file; a later ``write`` opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def read(self, round_: int, rows: "np.ndarray[Any, Any]") -> Record | None:
        """Return the finished chunk of these rows, or None.

        A damaged record or one with other rows counts as unfinished; it will be written again.
        """
        first = int(rows[0])
        try:
            record = self._load(round_, first)
        except _DAMAGE:
            return None
        return record if np.array_equal(record.get("rows", np.empty(0)), rows) else None

    def earliest(self, round_: int) -> Record | None:
        """Return a finished chunk of a round, that of the lowest rows; None where there is none."""
        try:
            return self._load(round_, min(self.places.get(round_, ())))
        except _DAMAGE:  # of an empty sequence there is no lowest
            return None

    def take(self, round_: int, rows: "np.ndarray[Any, Any]") -> Record | None:
        """Read a chunk and count it among those of ``records``; chunks come in order of rows."""
        record = self.read(round_, rows)
        if record is not None:
            self.taken.setdefault(round_, array("q")).append(int(rows[0]))
        return record

    def records(self, round_: int) -> Iterator[Record]:
        """Every chunk that was taken of a round, in order of rows, one in memory at a time."""
        for first in self.taken.get(round_, ()):
            yield self._load(round_, first)

    def _load(self, round_: int, first: int) -> Record:
        _, crc, content = self._frame(self.places[round_][first], content=True)
        if zlib.crc32(content) != crc:
            raise ValueError("checksum")
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            return {k: stored[k] for k in stored.files}

    def write(self, round_: int, record: Record) -> None:
        """Keep a finished chunk; ``record['rows']`` says which rows it is about."""
        first, buffer = int(record["rows"][0]), io.BytesIO()
        np.savez(buffer, allow_pickle=False, **record)
        content = buffer.getvalue()
        attempt = self._attempt(round_, first) + 1
        head = (_MARK, self.key, round_, attempt, first, len(content), zlib.crc32(content))
        # What follows the last whole record was cut short by a kill or a full disk.
        start = self.seen.get(self.rank, 0)
        self._append(start, _FRAME.pack(*head) + content)
        self.places.setdefault(round_, {})[first] = start * _FILES + self.rank
        self.seen[self.rank] = start + _FRAME.size + len(content)

    def _append(self, start: int, content: bytes) -> None:
        path = self._path(self.rank)
        with full_disk(path):
            if self._file is None:
                self._file = self._open(path)
            self._file.seek(start)
            self._file.truncate()
            self._file.write(content)
            if self.folder is not None:
                self._file.flush()
                os.fsync(self._file.fileno())

    def _open(self, path: Path) -> IO[bytes]:
        if self.folder is None:
            return tempfile.SpooledTemporaryFile(_IN_MEMORY)
        path.parent.mkdir(exist_ok=True)
        return path.open("r+b" if path.exists() else "w+b")


def _claim(folder: Path, header: dict[str, Any], text: str) -> bool:
    """Write the header into a new folder, or refuse one that holds something else.

    Returns whether the folder was new.
    """
    if folder.exists() and not folder.is_dir():
        raise Invalid("out", str(folder), "a folder", "a file of that name is in the way")
    path = folder / HEADER
    if path.exists():
        try:
            found = json.loads(path.read_text())
        except (OSError, ValueError, RecursionError) as error:
            raise BadData(f"{path} cannot be read ({error}): choose another --out") from error
        other = _differences(found, json.loads(text))
        if other:
            raise Invalid(
                "out",
                str(folder),
                "an empty folder or one with the same run",
                f"it holds another run ({'; '.join(other)}): choose another --out or delete it",
            )
        return False
    # Over NFS an open file without a name, such as a spool's, shows as .nfs…. What was paid for
    # before the run had a header is kept, and surrogates are trained before the run begins.
    mine = (".nfs", LEDGER, "surrogates")
    if folder.exists() and any(not p.name.startswith(mine) for p in folder.iterdir()):
        raise Invalid("out", str(folder), "an empty folder or a run's", "it holds other files")
    write_bytes(path, text.encode())
    return True


def _differences(found: Any, wanted: dict[str, Any]) -> list[str]:  # noqa: ANN401 - JSON
    if not isinstance(found, dict):
        return ["its header is not a run's"]
    said = []
    for key in sorted({*found, *wanted}):
        a, b = found.get(key), wanted.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            within = "code of " if key == "code" else ""
            said += [within + line for line in _differences(a, b)]
        elif a != b:
            said.append(f"{key} {_short(a)} there, {_short(b)} here")
    return said


def _short(value: Any) -> str:  # noqa: ANN401 - JSON
    text = str(value)
    return text if len(text) <= 60 else text[:20] + "…"
