"""The journal: what is on the disk, in which order, and how much of it."""

import sqlite3
import stat
from pathlib import Path

import pytest

from edge_agent.core.command_ipc import Answer
from edge_agent.gateway import journal as journal_module
from edge_agent.gateway.journal import (
    FINISHED_KEPT,
    OUTBOX_MAX,
    UNFINISHED_MAX,
    Arrival,
    Journal,
)

TOPIC = "ed/v1/a/cmd"


def _arrival(number: int) -> Arrival:
    return Arrival(TOPIC, b"sealed %d" % number, False, 1000 + number)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "plane.sqlite"


def test_a_command_is_unfinished_until_its_last_answer(path: Path) -> None:
    journal = Journal(path)
    first, second = journal.add([_arrival(1), _arrival(2)], "boot1").kept
    assert [k.row for k in journal.unfinished()] == [first.row, second.row]
    journal.finish([Answer(first.row, True, b"done")], "resp")
    assert journal.unfinished() == [second]
    journal.close()


def test_all_of_it_outlives_the_process(path: Path) -> None:
    journal = Journal(path)
    first, second = journal.add([_arrival(1), Arrival(TOPIC, b"x", True, 5)], "boot1").kept
    journal.finish([Answer(first.row, True, b"done")], "resp")
    journal.close()
    again = Journal(path)
    assert again.unfinished() == [second]
    assert (second.retained, second.boot, second.stamp_ns) == (True, "boot1", 5)
    assert [(w.topic, w.payload) for w in again.waiting(0, 9)] == [("resp", b"done")]
    again.close()


def test_a_copy_of_an_unfinished_command_is_nothing_new(path: Path) -> None:
    journal = Journal(path)
    journal.add([_arrival(1)], "")
    assert journal.add([_arrival(1), _arrival(1)], "") == ([], [], 0)
    journal.close()


def test_a_copy_of_a_finished_command_comes_back_as_its_answer(path: Path) -> None:
    journal = Journal(path)
    (kept,) = journal.add([_arrival(1)], "").kept
    journal.finish([Answer(kept.row, True, b"done")], "resp")
    assert journal.add([_arrival(1)], "") == ([], [b"done"], 0)
    assert len(journal.waiting(0, 9)) == 1  # the outbox has it once
    journal.close()


def test_the_same_bytes_on_another_topic_are_another_command(path: Path) -> None:
    journal = Journal(path)
    journal.add([_arrival(1)], "")
    assert len(journal.add([_arrival(1)._replace(topic="other")], "").kept) == 1
    journal.close()


def test_a_command_that_nobody_is_told_about_is_forgotten(path: Path) -> None:
    journal = Journal(path)
    (kept,) = journal.add([_arrival(1)], "").kept
    journal.finish([Answer(kept.row, True, b"")], "resp")
    assert (journal.unfinished(), journal.waiting(0, 9)) == ([], [])
    assert len(journal.add([_arrival(1)], "").kept) == 1
    journal.close()


def test_the_first_run_that_was_given_a_command_stays_noted(path: Path) -> None:
    journal = Journal(path)
    (first,) = journal.add([_arrival(1)], "").kept
    (second,) = journal.add([_arrival(2)], "boot1").kept
    journal.given([first.row, second.row], "boot2")
    assert [k.boot for k in journal.unfinished()] == ["boot2", "boot1"]
    journal.close()


def test_unfinished_commands_are_bounded(path: Path) -> None:
    journal = Journal(path)
    added = journal.add([_arrival(n) for n in range(UNFINISHED_MAX + 3)], "")
    assert (len(added.kept), added.turned_away) == (UNFINISHED_MAX, 3)
    journal.close()


def test_answers_that_can_be_given_again_are_bounded(path: Path) -> None:
    journal = Journal(path)
    for start in range(0, FINISHED_KEPT + 200, 200):
        kept = journal.add([_arrival(start + n) for n in range(200)], "").kept
        journal.finish([Answer(k.row, True, b"done") for k in kept], "resp")
    assert len(journal.add([_arrival(0)], "").kept) == 1  # forgotten: the desk refuses it
    assert journal.add([_arrival(FINISHED_KEPT + 199)], "").answers == [b"done"]
    journal.close()


def test_the_outbox_is_bounded_and_the_oldest_goes(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "OUTBOX_MAX", 3)
    journal = Journal(path)
    for n in range(5):
        (kept,) = journal.add([_arrival(n)], "").kept
        journal.finish([Answer(kept.row, True, b"%d" % n)], "resp")
    assert [w.payload for w in journal.waiting(0, 9)] == [b"2", b"3", b"4"]
    assert OUTBOX_MAX == 10_000
    journal.close()


def test_the_outbox_is_read_in_order_and_struck_out(path: Path) -> None:
    journal = Journal(path)
    kept = journal.add([_arrival(n) for n in range(5)], "").kept
    journal.finish([Answer(k.row, True, b"%d" % i) for i, k in enumerate(kept)], "resp")
    first = journal.waiting(0, 2)
    assert [w.payload for w in first] == [b"0", b"1"]
    assert [w.payload for w in journal.waiting(first[-1].row, 2)] == [b"2", b"3"]
    journal.heard([first[1].row, first[0].row])
    assert [w.payload for w in journal.waiting(0, 9)] == [b"2", b"3", b"4"]
    journal.close()


def test_a_failed_step_leaves_nothing_half_done(path: Path) -> None:
    journal = Journal(path)
    with pytest.raises(sqlite3.Error):
        journal.add([_arrival(1), Arrival(TOPIC, b"x", False, None)], "")  # type: ignore[arg-type]
    assert journal.unfinished() == []
    journal.close()


def test_only_the_owner_can_read_it(path: Path) -> None:
    Journal(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
