"""A file of an older schema is brought up to date, one of a newer schema is kept, whole."""

import shutil
import sqlite3
import stat
from pathlib import Path

import pytest

from edge_agent.core.command_ipc import Happened
from edge_agent.gateway.backlog import Backlog
from edge_agent.gateway.database import open_database
from edge_agent.gateway.journal import Arrival, Journal

ONE = "CREATE TABLE notes (word TEXT NOT NULL);"
TWO = "ALTER TABLE notes ADD COLUMN weight INTEGER NOT NULL DEFAULT 7;"
# plane.sqlite as it was before events were told, and before versions were counted.
OLD_PLANE = """
PRAGMA journal_mode = WAL;
CREATE TABLE commands (
    row INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL UNIQUE, topic TEXT NOT NULL,
    sealed BLOB NOT NULL, retained INTEGER NOT NULL, stamp_ns INTEGER NOT NULL,
    boot TEXT NOT NULL, answer BLOB
);
CREATE INDEX unfinished ON commands (row) WHERE answer IS NULL;
CREATE TABLE outbox (
    row INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, payload BLOB NOT NULL
);
INSERT INTO commands VALUES (5, x'aa', 'ed/v1/a/cmd', x'bb', 0, 77, 'boot1', NULL);
INSERT INTO outbox VALUES (3, 'ed/v1/a/resp', x'cc');
"""
OLD_TELEMETRY = """
PRAGMA journal_mode = WAL;
CREATE TABLE samples (
    row INTEGER PRIMARY KEY AUTOINCREMENT, at_ns INTEGER NOT NULL, payload BLOB NOT NULL
);
INSERT INTO samples VALUES (1, 5, x'dd');
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "notes.sqlite"


def made_by(script: str, path: Path) -> None:
    """A file that another program has left."""
    path.parent.mkdir(exist_ok=True)
    database = sqlite3.connect(path)
    database.executescript(script)
    database.close()


def version(path: Path) -> int:
    database = sqlite3.connect(path)
    found = database.execute("PRAGMA user_version").fetchone()[0]
    database.close()
    return int(found)


def test_a_new_file_has_the_newest_schema_and_is_its_owners_alone(path: Path) -> None:
    database = open_database(path, (ONE, TWO))
    database.execute("INSERT INTO notes (word) VALUES ('a')")
    database.close()
    assert version(path) == 2
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_grows_does_not_fill_memory(path: Path) -> None:
    database = open_database(path, [ONE])
    (cache_kib,) = database.execute("PRAGMA cache_size").fetchone()
    assert cache_kib == -256  # negative: KiB, not pages
    database.close()


def test_an_older_file_is_brought_up_to_date_with_what_is_in_it(path: Path) -> None:
    database = open_database(path, (ONE,))
    database.execute("INSERT INTO notes VALUES ('a')")
    database.close()
    database = open_database(path, (ONE, TWO))
    assert database.execute("SELECT word, weight FROM notes").fetchall() == [("a", 7)]
    database.close()
    assert version(path) == 2


def test_a_step_that_fails_leaves_the_old_schema_as_it_was(path: Path) -> None:
    open_database(path, (ONE,)).close()
    with pytest.raises(sqlite3.OperationalError):
        open_database(path, (ONE, TWO, "INSERT INTO absent VALUES (1);"))
    assert version(path) == 1
    database = open_database(path, (ONE, TWO))  # so TWO was not kept either
    assert version(path) == 2
    database.close()


def test_a_newer_file_is_set_aside_whole_and_said(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    killed = path.with_name("killed.sqlite")
    writer = open_database(killed, (ONE, TWO))
    writer.execute("INSERT INTO notes VALUES ('a', 9)")  # in its log, not yet in the file
    for part in ("", "-wal"):
        shutil.copy(f"{killed}{part}", f"{path}{part}")
    writer.close()
    older = open_database(path, (ONE,))
    assert older.execute("SELECT count(*) FROM notes").fetchone() == (0,)
    older.close()
    kept = path.with_name("notes.sqlite.schema-2")
    database = sqlite3.connect(kept)
    assert database.execute("SELECT word, weight FROM notes").fetchall() == [("a", 9)]
    database.close()
    told = capsys.readouterr().err
    assert "is of schema 2, this program knows 1" in told
    assert kept.name in told


def test_a_second_one_does_not_take_the_place_of_the_first(path: Path) -> None:
    for word in ("first", "second"):
        path.unlink(missing_ok=True)
        newer = open_database(path, (ONE, TWO))
        newer.execute("INSERT INTO notes (word) VALUES (?)", (word,))
        newer.close()
        open_database(path, (ONE,)).close()
    names = sorted(p.name for p in path.parent.iterdir() if "schema" in p.name)
    assert names == ["notes.sqlite.schema-2", "notes.sqlite.schema-2.2"]
    database = sqlite3.connect(path.with_name(names[0]))
    assert database.execute("SELECT word FROM notes").fetchall() == [("first",)]
    database.close()


def test_a_journal_from_before_versions_were_counted_goes_on(path: Path) -> None:
    made_by(OLD_PLANE, path)
    journal = Journal(path)
    assert [(kept.row, kept.boot) for kept in journal.unfinished()] == [(5, "boot1")]
    assert [(w.row, w.payload) for w in journal.waiting(0, 9)] == [(3, b"\xcc")]
    journal.keep_events([Happened("boot2", 1, b"event")], "ed/v1/a/evt")
    assert [w.payload for w in journal.waiting(0, 9)] == [b"\xcc", b"event"]
    journal.close()
    assert version(path) == 1


def test_telemetry_from_before_versions_were_counted_goes_on(path: Path) -> None:
    made_by(OLD_TELEMETRY, path)
    backlog = Backlog(path, 1_000, 10)
    assert backlog.oldest(0, 9) == [(1, b"\xdd")]
    assert backlog.size_bytes == 1
    backlog.close()
    assert version(path) == 1


def test_a_journal_of_a_newer_program_loses_nothing_and_work_goes_on(path: Path) -> None:
    journal = Journal(path)
    journal.add([Arrival("ed/v1/a/cmd", b"sealed", False, 1)], "boot1")
    journal.close()
    made_by("PRAGMA user_version = 9;", path)
    journal = Journal(path)
    assert journal.unfinished() == []
    journal.close()
    kept = sqlite3.connect(path.with_name("notes.sqlite.schema-9"))
    assert kept.execute("SELECT sealed FROM commands").fetchall() == [(b"sealed",)]
    kept.close()
