"""The ledger of queries: what is sent is written down before it goes, and what comes back at once.

A query's key is the hash of the endpoint and of the instance as it is encoded. A request carries
one query or more, and is in one of these states.
"""

import json
import sqlite3
import time
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

__all__ = ["ANSWERED", "DOUBTFUL", "LOST", "REFUSED", "SENT", "UNREAD", "Ledger"]

SENT = "sent"  # on its way
ANSWERED = "answered"
REFUSED = "refused"  # the service declined, or was not reached: not paid
LOST = "lost"  # no answer came in time: perhaps paid
UNREAD = "unread"  # answered, but not as described: paid for nothing
DOUBTFUL = "doubtful"  # on its way when the courier itself was killed: perhaps paid

_PAID = (SENT, ANSWERED, LOST, UNREAD, DOUBTFUL)
_VERSION = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS requests (
    id INTEGER PRIMARY KEY, endpoint TEXT NOT NULL, queries INTEGER NOT NULL, state TEXT NOT NULL,
    status INTEGER, began REAL NOT NULL, seconds REAL, answer BLOB);
CREATE TABLE IF NOT EXISTS queries (
    key TEXT PRIMARY KEY, request INTEGER NOT NULL, place INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_state ON requests (endpoint, state);
CREATE TABLE IF NOT EXISTS notes (
    endpoint TEXT, name TEXT, value TEXT, PRIMARY KEY (endpoint, name)) WITHOUT ROWID;
"""


class Ledger:
    """The queries of one endpoint, in a file that endpoints and runs may share, or in memory.

    Raises ``sqlite3.Error`` for a file that is none, or that cannot be written.
    """

    def __init__(self, path: str | None, endpoint: str) -> None:
        self.endpoint = endpoint
        if path is not None:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path or ":memory:", timeout=60, isolation_level=None)
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version not in (0, _VERSION):
            raise sqlite3.DatabaseError(f"it is of version {version}, this is {_VERSION}")
        self._db.execute("PRAGMA journal_mode = WAL")  # one sync to write something down
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.executescript(f"BEGIN IMMEDIATE;{_TABLES}PRAGMA user_version = {_VERSION};COMMIT")

    def close(self) -> None:
        """Close the file."""
        self.commit()
        self._db.close()

    def commit(self) -> None:
        """Make sure that what was written down survives a loss of power."""
        if self._db.in_transaction:
            self._db.execute("COMMIT")

    def doubt(self) -> None:
        """Mark what nobody waits for any more; only the holder of the turn may know that."""
        if self._queries(SENT):
            self._write("UPDATE requests SET state = ? WHERE state = ?", (DOUBTFUL, SENT))
            self.commit()

    def find(self, keys: Iterable[str]) -> dict[str, tuple[int, int]]:
        """Return (request, place in it) of the keys that have an answer."""
        rows = self._db.execute(
            "SELECT key, request, place FROM queries JOIN requests ON id = request "
            "WHERE key IN (SELECT value FROM json_each(?)) AND state = ?",
            (json.dumps(list(keys)), ANSWERED),
        )
        return {key: (request, place) for key, request, place in rows}

    def answers(self, requests: Iterable[int]) -> dict[int, tuple[int, str]]:
        """Return (number of queries, text of the answer) of each request."""
        ask = "SELECT queries, answer FROM requests WHERE id = ?"
        rows = {r: self._db.execute(ask, (r,)).fetchone() for r in requests}
        return {r: (count, zlib.decompress(blob).decode()) for r, (count, blob) in rows.items()}

    def sending(self, keys: Sequence[str]) -> int:
        """Write down that these queries are about to go; return the request's number.

        They may go once it is committed.
        """
        number = self._write(
            "INSERT INTO requests (endpoint, queries, state, began) VALUES (?, ?, ?, ?)",
            (self.endpoint, len(keys), SENT, time.time()),
        )
        for place, key in enumerate(keys):
            self._write("INSERT OR REPLACE INTO queries VALUES (?, ?, ?)", (key, number, place))
        return number

    def record(
        self, number: int, state: str, status: int | None, seconds: float, answer: str | None
    ) -> None:
        """Write down how a request ended; it is known once it is committed."""
        blob = None if answer is None else zlib.compress(answer.encode(), 1)
        self._write(
            "UPDATE requests SET state = ?, status = ?, seconds = ?, answer = ? WHERE id = ?",
            (state, status, seconds, blob, number),
        )

    def forget(self, requests: Iterable[int]) -> None:
        """Take back answers that cannot be read: they stay paid, and will be asked again."""
        for number in requests:
            self._write("UPDATE requests SET state = ? WHERE id = ?", (UNREAD, number))
        self.commit()

    def paid(self) -> int:
        """Return the number of queries that were paid for, or may have been."""
        return self._queries(*_PAID)

    def free_at(self, rate: float) -> float:
        """Return the time from which a rate of queries per second allows another request."""
        row = self._db.execute(
            "SELECT began, queries FROM requests WHERE endpoint = ? ORDER BY id DESC LIMIT 1",
            (self.endpoint,),
        ).fetchone()
        return float(row[0] + row[1] / rate) if row else 0.0

    def totals(self) -> dict[str, Any]:
        """Return what the endpoint has cost so far, over all sessions."""
        count = "SELECT COUNT(*), COALESCE(SUM(seconds), 0) FROM requests WHERE endpoint = ?"
        requests, seconds = self._db.execute(count, (self.endpoint,)).fetchone()
        again = "SELECT COUNT(*) FROM requests WHERE endpoint = ? AND state IN (?, ?)"
        (retries,) = self._db.execute(again, (self.endpoint, REFUSED, LOST)).fetchone()
        return {
            "queries": self.paid(),
            "requests": requests,
            "retries": retries,
            "lost": self._queries(LOST),
            "unread": self._queries(UNREAD),
            "doubtful": self._queries(DOUBTFUL),
            "seconds": round(seconds, 3),
        }

    def note(self, name: str) -> Any:  # noqa: ANN401 - whatever was noted
        """Return what was noted under a name, None where nothing was."""
        ask = "SELECT value FROM notes WHERE endpoint = ? AND name = ?"
        row = self._db.execute(ask, (self.endpoint, name)).fetchone()
        return None if row is None else json.loads(row[0])

    def write_note(self, name: str, value: Any) -> None:  # noqa: ANN401
        """Keep a JSON value under a name."""
        row = (self.endpoint, name, json.dumps(value))
        self._write("INSERT OR REPLACE INTO notes VALUES (?, ?, ?)", row)
        self.commit()

    def _write(self, what: str, values: Sequence[Any]) -> int:
        """Change something in a transaction that lasts until the next commit."""
        if not self._db.in_transaction:
            self._db.execute("BEGIN IMMEDIATE")
        return self._db.execute(what, values).lastrowid or 0

    def _queries(self, *states: str) -> int:
        ask = "SELECT COALESCE(SUM(queries), 0) FROM requests WHERE endpoint = ? AND state = ?"
        found = [self._db.execute(ask, (self.endpoint, state)).fetchone()[0] for state in states]
        return sum(found)
