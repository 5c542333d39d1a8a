"""Telemetry that nobody could hear: kept in order, within its bounds, over a restart."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.gateway.backlog import Backlog, Sample

S = 1_000_000_000
HOUR = 3_600 * S


@pytest.fixture
def backlog(tmp_path: Path) -> Iterator[Backlog]:
    made = Backlog(tmp_path / "t.sqlite", 1_000, HOUR)
    yield made
    made.close()


def _samples(start: int, count: int, at_ns: int = S) -> list[Sample]:
    return [Sample(at_ns, b"%05d" % n + b"." * 95) for n in range(start, start + count)]


def _numbers(backlog: Backlog) -> list[int]:
    return [int(payload[:5]) for _row, payload in backlog.oldest(0, 1_000)]


def test_the_order_is_kept(backlog: Backlog) -> None:
    backlog.add(_samples(0, 3), S)
    backlog.add(_samples(3, 3), S)
    assert _numbers(backlog) == [0, 1, 2, 3, 4, 5]
    (row, _payload) = backlog.oldest(0, 1)[0]
    assert [int(p[:5]) for _r, p in backlog.oldest(row, 2)] == [1, 2]


def test_too_much_drops_the_oldest_and_counts_them(backlog: Backlog) -> None:
    for start in range(0, 25, 5):
        backlog.add(_samples(start, 5), S)
    assert _numbers(backlog) == list(range(15, 25))
    assert (backlog.size_bytes, backlog.dropped) == (1_000, 15)


def test_what_is_too_old_goes(backlog: Backlog) -> None:
    backlog.add(_samples(0, 2, at_ns=S), S)
    backlog.add(_samples(2, 1, at_ns=HOUR), HOUR)
    assert _numbers(backlog) == [0, 1, 2]
    backlog.add(_samples(3, 1, at_ns=HOUR + 2 * S), HOUR + 2 * S)
    assert _numbers(backlog) == [2, 3]


def test_what_an_earlier_start_of_the_machine_left_is_not_taken_for_old(backlog: Backlog) -> None:
    backlog.add(_samples(0, 2, at_ns=9 * HOUR), 9 * HOUR)
    backlog.add(_samples(2, 1, at_ns=S), S)  # the clock began anew
    assert _numbers(backlog) == [0, 1, 2]


def test_what_was_heard_makes_room(backlog: Backlog) -> None:
    backlog.add(_samples(0, 10), S)
    rows = [row for row, _payload in backlog.oldest(0, 4)]
    for row in rows:
        backlog.heard(row)
    backlog.heard(rows[0])  # twice is once
    assert backlog.size_bytes == 600
    backlog.add(_samples(10, 4), S)
    assert _numbers(backlog) == list(range(4, 14))
    assert backlog.dropped == 0


def test_it_outlives_a_process_that_is_killed(tmp_path: Path, backlog: Backlog) -> None:
    backlog.add(_samples(0, 3), S)
    again = Backlog(tmp_path / "t.sqlite", 1_000, HOUR)  # the first was never closed
    assert (_numbers(again), again.size_bytes) == ([0, 1, 2], 300)
    again.close()
