"""A SQLite file that knows the version of its own schema.

Owns: opening it, bringing an older one up to date, setting a newer one aside. Must not: know a
table, or throw a file away.

The version is SQLite's own `user_version`. Step i makes version i + 1 of version i and is never
changed once it has shipped; a file from before versions were counted is of version 0. All steps
that are missing are one transaction, so that a power cut leaves the old schema or the new one.

A file that a newer version of the program has written, as after an upgrade that was rolled back,
may mean something else by the same words. It is renamed, whole, and a new one is begun: a board
without its gateway would be worse off, and a person can still send what lies in the old one.

May raise `sqlite3.Error`, as a full disk does, and OSError.
"""

import sqlite3
import sys
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Final

# For each file. SQLite's own 2,000 are filled as the file grows, for hours: a leak looks the same.
_CACHE_KIB: Final = 256


def open_database(path: Path, steps: Sequence[str]) -> sqlite3.Connection:
    """The file with the schema that `steps` make, for its owner alone."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = _connect(path)
    version = _version(database)
    if version > len(steps):
        kept = _set_aside(database, path, version)
        sys.stderr.write(
            f"edge-agent: {path}: is of schema {version}, this program knows {len(steps)}:"
            f" kept beside it as {kept.name}, and a new one is begun\n"
        )
        database, version = _connect(path), 0
    try:
        _bring_up_to_date(database, version, steps)
        path.chmod(0o600)
    except (sqlite3.Error, OSError):
        database.close()  # and with it the transaction
        raise
    return database


def _bring_up_to_date(database: sqlite3.Connection, version: int, steps: Sequence[str]) -> None:
    if version < len(steps):
        missing = "".join(steps[version:])
        end = f"PRAGMA user_version = {len(steps)}; COMMIT;"
        database.executescript(f"BEGIN IMMEDIATE; {missing} {end}")


def _connect(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    return database


def _version(database: sqlite3.Connection) -> int:
    return int(database.execute("PRAGMA user_version").fetchone()[0])


def _set_aside(database: sqlite3.Connection, path: Path, version: int) -> Path:
    """Under a name that is free. The last to close it writes its log into the file."""
    database.close()
    name = f"{path.name}.schema-{version}"
    names = (name if number == 1 else f"{name}.{number}" for number in count(1))
    free = next(path.with_name(name) for name in names if not path.with_name(name).exists())
    path.rename(free)
    return free
