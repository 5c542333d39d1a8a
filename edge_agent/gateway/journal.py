"""The journal: what was taken over from the broker, and what it still has to hear.

Owns: one SQLite file with the commands and the outbox. Must not: know what a command is or
whether it is genuine. A commit returns when the disk has it (write-ahead log, full sync), so
a power cut loses nothing that was acknowledged and repeats nothing that was answered.

Every method may raise `sqlite3.Error`, as a full disk does.
"""

import hashlib
import sqlite3
from pathlib import Path
from typing import Final, NamedTuple

from edge_agent.core.command_ipc import Answer, Happened
from edge_agent.gateway.database import open_database

FINISHED_KEPT: Final = 1_000  # answers that can still be given again
UNFINISHED_MAX: Final = 256
OUTBOX_MAX: Final = 10_000
# A step that has shipped is never changed: a change of the schema is one more (database.py).
_STEPS: Final = (
    """
CREATE TABLE IF NOT EXISTS commands (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    digest BLOB NOT NULL UNIQUE,
    topic TEXT NOT NULL,
    sealed BLOB NOT NULL,
    retained INTEGER NOT NULL,
    stamp_ns INTEGER NOT NULL,
    boot TEXT NOT NULL,  -- the run of the control process it was given to, or empty
    answer BLOB  -- the last one; NULL while it is not finished
);
CREATE INDEX IF NOT EXISTS unfinished ON commands (row) WHERE answer IS NULL;
CREATE TABLE IF NOT EXISTS outbox (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    topic TEXT NOT NULL,
    payload BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS events_kept (boot TEXT PRIMARY KEY, seq INTEGER NOT NULL);
""",
)


class Arrival(NamedTuple):
    """One message on a command topic."""

    topic: str
    sealed: bytes
    retained: bool
    stamp_ns: int


class Kept(NamedTuple):
    """One command in the journal that has no last answer."""

    row: int
    topic: str
    sealed: bytes
    retained: bool
    stamp_ns: int
    boot: str


class Added(NamedTuple):
    """What became of arrivals: new commands, last answers of known ones, and no room."""

    kept: list[Kept]
    answers: list[bytes]
    turned_away: int


class Waiting(NamedTuple):
    """One message of the outbox."""

    row: int
    topic: str
    payload: bytes


class Journal:
    """One file; one process uses it."""

    def __init__(self, path: Path) -> None:
        self._db = open_database(path, _STEPS)
        self._db.execute("PRAGMA synchronous = FULL")

    def add(self, arrivals: list[Arrival], boot: str) -> Added:
        """Keep what arrived, about to be given to `boot`; returns when the disk has it.

        What was here before comes back as its last answer, if it has one, and not as a command.
        """
        kept: list[Kept] = []
        answers: list[bytes] = []
        turned_away = 0
        with self._transaction():
            room = UNFINISHED_MAX - self._unfinished()
            for arrival in arrivals:
                known = self._db.execute(
                    "SELECT answer FROM commands WHERE digest = ?", (_digest(arrival),)
                ).fetchone()
                if known is not None:
                    answers += [known[0]] if known[0] is not None else []
                elif len(kept) < room:
                    kept.append(self._insert(arrival, boot))
                else:
                    turned_away += 1
        return Added(kept, answers, turned_away)

    def unfinished(self) -> list[Kept]:
        """Every command without a last answer, oldest first."""
        rows = self._db.execute(
            "SELECT row, topic, sealed, retained, stamp_ns, boot FROM commands"
            " WHERE answer IS NULL ORDER BY row"
        )
        return [
            Kept(row, topic, sealed, bool(retained), stamp_ns, boot)
            for row, topic, sealed, retained, stamp_ns, boot in rows
        ]

    def given(self, rows: list[int], boot: str) -> None:
        """Note which run of the control process is about to be given these commands. One that
        an earlier run was given stays that run's: it may have acted."""
        if not rows:
            return
        with self._transaction():
            self._db.executemany(
                "UPDATE commands SET boot = ? WHERE row = ? AND boot = ''",
                [(boot, row) for row in rows],
            )

    def finish(self, answers: list[Answer], topic: str) -> None:
        """Keep last answers, and put each into the outbox for `topic`; a command that nobody is
        to be told about is forgotten."""
        with self._transaction():
            for answer in answers:
                if not answer.body:
                    self._db.execute("DELETE FROM commands WHERE row = ?", (answer.row,))
                    continue
                self._db.execute(
                    "UPDATE commands SET answer = ? WHERE row = ?", (answer.body, answer.row)
                )
                self._db.execute(
                    "INSERT INTO outbox (topic, payload) VALUES (?, ?)", (topic, answer.body)
                )
            self._prune()

    def keep_events(self, events: list[Happened], topic: str) -> None:
        """Put events into the outbox for `topic`, each once, however often it was told. Those of
        another run than before begin a new count."""
        with self._transaction():
            for event in events:
                known = self._db.execute(
                    "SELECT seq FROM events_kept WHERE boot = ?", (event.boot,)
                ).fetchone()
                if known is not None and event.seq <= known[0]:
                    continue
                if known is None:
                    self._db.execute("DELETE FROM events_kept")
                self._db.execute(
                    "INSERT OR REPLACE INTO events_kept (boot, seq) VALUES (?, ?)",
                    (event.boot, event.seq),
                )
                self._db.execute(
                    "INSERT INTO outbox (topic, payload) VALUES (?, ?)", (topic, event.body)
                )
            self._prune()

    def waiting(self, after: int, limit: int) -> list[Waiting]:
        """What the broker has yet to hear, oldest first."""
        rows = self._db.execute(
            "SELECT row, topic, payload FROM outbox WHERE row > ? ORDER BY row LIMIT ?",
            (after, limit),
        )
        return [Waiting(*row) for row in rows]

    def outbox_rows(self) -> int:
        """How many answers no broker has acknowledged. Raises sqlite3.Error."""
        return int(self._db.execute("SELECT COUNT(*) FROM outbox").fetchone()[0])

    def heard(self, rows: list[int]) -> None:
        """The broker has these. Not forced to the disk: a power cut sends them again."""
        self._db.execute("PRAGMA synchronous = NORMAL")
        try:
            with self._transaction():
                self._db.executemany("DELETE FROM outbox WHERE row = ?", [(row,) for row in rows])
        finally:
            self._db.execute("PRAGMA synchronous = FULL")

    def close(self) -> None:
        """Release the file."""
        self._db.close()

    def _transaction(self) -> "_Transaction":
        return _Transaction(self._db)

    def _unfinished(self) -> int:
        (count,) = self._db.execute("SELECT count(*) FROM commands WHERE answer IS NULL").fetchone()
        return int(count)

    def _insert(self, arrival: Arrival, boot: str) -> Kept:
        cursor = self._db.execute(
            "INSERT INTO commands (digest, topic, sealed, retained, stamp_ns, boot)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (_digest(arrival), *arrival, boot),
        )
        return Kept(cursor.lastrowid or 0, *arrival, boot)

    def _prune(self) -> None:
        self._db.execute(
            "DELETE FROM commands WHERE answer IS NOT NULL AND row <="
            " (SELECT max(row) FROM commands) - ?",
            (FINISHED_KEPT,),
        )
        self._db.execute(
            "DELETE FROM outbox WHERE row <= (SELECT max(row) FROM outbox) - ?", (OUTBOX_MAX,)
        )


class _Transaction:
    """All or nothing, on the disk when it ends."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        self._db.execute("COMMIT" if kind is None else "ROLLBACK")


def _digest(arrival: Arrival) -> bytes:
    return hashlib.sha256(arrival.topic.encode() + b"\0" + arrival.sealed).digest()
