"""Lines for journald: levels, bounds, and never a wait."""

import fcntl
import os
import socket
from collections.abc import Iterator

import pytest

from edge_agent.core.clock import NS_PER_S, ManualClock
from edge_agent.core.records import Mode, Proposal, Reason, Rule, Snapshot, TickRecord, Verdict
from edge_agent.safety.devices.air_handler import ENVELOPE
from edge_agent.service.log import BURST, Level, Log, ModeLog, formed, is_journal


class Reader:
    """A pipe that stands for standard error."""

    def __init__(self) -> None:
        self.end, self.fd = os.pipe()
        os.set_blocking(self.end, False)

    def lines(self) -> list[str]:
        try:
            return os.read(self.end, 1 << 20).decode().splitlines()
        except BlockingIOError:
            return []

    def close(self) -> None:
        os.close(self.end)
        os.close(self.fd)


@pytest.fixture
def reader() -> Iterator[Reader]:
    made = Reader()
    yield made
    made.close()


def test_a_line_has_its_level_for_the_journal_alone(reader: Reader) -> None:
    clock = ManualClock()
    Log(clock, reader.fd, journal=True).say(Level.WARNING, "link lost")
    Log(clock, reader.fd, journal=False).say(Level.WARNING, "link lost")
    assert reader.lines() == ["<4>edge-agent: link lost", "edge-agent: link lost"]


def test_every_line_of_an_error_has_the_level() -> None:
    assert (
        formed(Level.ERROR, "no\n  fix: yes", journal=True) == "<3>edge-agent: no\n<3>  fix: yes\n"
    )


def test_the_journal_is_known_by_its_inode_not_by_a_variable_alone() -> None:
    """A child whose standard error goes elsewhere inherits the variable."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        facts = os.fstat(ours.fileno())
        named = {"JOURNAL_STREAM": f"{facts.st_dev}:{facts.st_ino}"}
        assert is_journal(named, ours.fileno())
        assert not is_journal(named, theirs.fileno())
        assert not is_journal({}, ours.fileno())
    assert not is_journal(named, 999)


def test_a_storm_is_bounded_and_the_next_line_says_what_is_missing(reader: Reader) -> None:
    clock = ManualClock()
    log = Log(clock, reader.fd, journal=False)
    for _ in range(1000):
        log.say(Level.INFO, "again")
    assert len(reader.lines()) == BURST
    assert log.status() == {"lines_dropped": 1000 - BURST}
    clock.advance_ns(NS_PER_S)
    log.say(Level.INFO, "calm")
    log.say(Level.INFO, "too soon")
    assert reader.lines() == [f"edge-agent: calm ({1000 - BURST} lines before it were dropped)"]


def test_a_day_of_silence_is_no_more_than_one_burst(reader: Reader) -> None:
    clock = ManualClock()
    log = Log(clock, reader.fd, journal=False)
    clock.advance_ns(86_400 * NS_PER_S)
    for _ in range(3 * BURST):
        log.say(Level.INFO, "again")
    assert len(reader.lines()) == BURST


def test_a_reader_that_does_not_read_never_holds_a_tick(reader: Reader) -> None:
    """A pipe of one page, full: a plain write would block for ever."""
    fcntl.fcntl(reader.fd, fcntl.F_SETPIPE_SZ, 4096)
    clock = ManualClock()
    log = Log(clock, reader.fd, journal=False)
    for _ in range(200):
        clock.advance_ns(NS_PER_S)
        log.say(Level.INFO, "x" * 100)
    assert int(log.status()["lines_dropped"]) > 100


def test_a_reader_that_is_gone_is_no_error() -> None:
    reader = Reader()
    reader.close()
    log = Log(ManualClock(), reader.fd, journal=False)
    log.say(Level.INFO, "x")
    assert log.status() == {"lines_dropped": 1}


def test_no_line_is_long_and_none_makes_another(reader: Reader) -> None:
    Log(ManualClock(), reader.fd, journal=True).say(Level.INFO, "a\n<0>b " + "\U0001f525" * 5000)
    (line,) = reader.lines()
    assert line.startswith("<6>edge-agent: a <0>b ")
    assert len(line.encode()) < 2100


def _tick(mode: int, cause: Reason | None = None) -> TickRecord:
    snapshot = Snapshot((), (), ())
    return TickRecord(7, 0, (), (), snapshot, (), Proposal(None), Verdict(()), mode, cause)


def test_each_change_of_mode_is_one_line_with_its_cause(reader: Reader) -> None:
    modes = ModeLog(Log(ManualClock(), reader.fd, journal=True), ENVELOPE)
    for tick in (
        _tick(Mode.SAFE),
        _tick(Mode.ACTIVE),
        _tick(Mode.ACTIVE),
        _tick(Mode.HOLDING, Reason(Rule.STALE_INPUT, 0, 5)),
        _tick(Mode.TRIPPED, Reason(Rule.EFFECT_MISSING, 0)),
    ):
        modes.publish(tick)
    lines = reader.lines()
    assert [line[:3] for line in lines] == ["<5>", "<4>", "<3>"]
    assert lines[0] == "<5>edge-agent: mode=ACTIVE before=SAFE tick=7"
    assert "mode=HOLDING before=ACTIVE tick=7: " in lines[1]
    assert "supply_temperature" in lines[1]
