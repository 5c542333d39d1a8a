"""Telemetry that nobody could hear: kept on the disk, the oldest dropped first.

Owns: one SQLite file, its bounds of age and size. Must not: know what a sample says. A file of
its own and not the journal's, so that a stop never waits behind telemetry; written without
fsync, so that a power cut may cost the last second.

Age counts on the monotonic clock, as a board's clock of day may jump by years when it finds a
time server. What an earlier start of the machine has left counts as younger than it is.

Every method may raise `sqlite3.Error`, as a full disk does.
"""

import sqlite3
from pathlib import Path
from typing import Final, NamedTuple

from edge_agent.gateway.database import open_database

# A step that has shipped is never changed: a change of the schema is one more (database.py).
_STEPS: Final = (
    """
CREATE TABLE IF NOT EXISTS samples (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ns INTEGER NOT NULL,
    payload BLOB NOT NULL
);
""",
)


class Sample(NamedTuple):
    """One document, and when it was made on the monotonic clock."""

    at_ns: int
    payload: bytes


class Backlog:
    """One file; one process uses it."""

    def __init__(self, path: Path, max_bytes: int, max_age_ns: int) -> None:
        self._db = open_database(path, _STEPS)
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._max_bytes = max_bytes
        self._max_age_ns = max_age_ns
        (total,) = self._db.execute("SELECT total(length(payload)) FROM samples").fetchone()
        self.size_bytes = int(total)
        self.dropped = 0

    def add(self, samples: list[Sample], now_ns: int) -> None:
        """Keep these, and let go of what is too old or too much."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany("INSERT INTO samples (at_ns, payload) VALUES (?, ?)", samples)
            size_bytes = self.size_bytes + sum(len(sample.payload) for sample in samples)
            last, freed_bytes, count = self._too_many(size_bytes, now_ns)
            self._db.execute("DELETE FROM samples WHERE row <= ?", (last,))
        except sqlite3.Error:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")
        self.size_bytes = size_bytes - freed_bytes
        self.dropped += count

    def oldest(self, after: int, limit: int) -> list[tuple[int, bytes]]:
        """(row, payload) of what is kept beyond row `after`, oldest first."""
        rows = self._db.execute(
            "SELECT row, payload FROM samples WHERE row > ? ORDER BY row LIMIT ?", (after, limit)
        )
        return [(row, payload) for row, payload in rows]

    def heard(self, row: int) -> None:
        """The broker has it."""
        (length,) = self._db.execute(
            "SELECT total(length(payload)) FROM samples WHERE row = ?", (row,)
        ).fetchone()
        self._db.execute("DELETE FROM samples WHERE row = ?", (row,))
        self.size_bytes -= int(length)

    def close(self) -> None:
        """Release the file."""
        self._db.close()

    def _too_many(self, size_bytes: int, now_ns: int) -> tuple[int, int, int]:
        """The last row that has to go, and how many bytes and samples go with it."""
        last = freed_bytes = count = 0
        rows = self._db.execute("SELECT row, at_ns, length(payload) FROM samples ORDER BY row")
        for row, at_ns, length in rows:
            too_old = 0 <= at_ns <= now_ns and now_ns - at_ns > self._max_age_ns
            if not too_old and size_bytes - freed_bytes <= self._max_bytes:
                break
            last, freed_bytes, count = row, freed_bytes + length, count + 1
        return last, freed_bytes, count
