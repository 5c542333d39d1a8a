"""When a line is tried again, and what is told of it."""

import pytest

from edge_agent.ports.reopening import ReopeningLine
from firmware_bridge.errors import PortLostError, PortUnavailableError

MS = 1_000_000


class Wire:
    """A line that can be there or not."""

    def __init__(self) -> None:
        self.there = False
        self.tries = 0
        self.closed = 0

    def open(self) -> "Wire":
        self.tries += 1
        if not self.there:
            raise PortUnavailableError("absent")
        return self

    def fileno(self) -> int:
        return 7

    def close(self) -> None:
        self.closed += 1


def tries_at(line: ReopeningLine[Wire], wire: Wire, from_ms: int, to_ms: int) -> list[int]:
    """The milliseconds at which it was tried to open."""
    found = []
    for now_ms in range(from_ms, to_ms):
        before = wire.tries
        try:
            line.at(now_ms * MS)
        except PortUnavailableError as fault:
            line.lose(now_ms * MS, fault)
        if wire.tries > before:
            found.append(now_ms)
    return found


def test_pauses_double_up_to_two_seconds() -> None:
    wire = Wire()
    line = ReopeningLine("bus", wire.open)
    assert tries_at(line, wire, 0, 8000) == [0, 100, 300, 700, 1500, 3100, 5100, 7100]
    counted = {"unplugged": 0, "reconnects": 0, "open_failures": 8}
    assert line.status() == {"path": "bus", "fault": "absent", **counted}
    assert line.fileno() is None


@pytest.mark.parametrize(("is_well", "pause_ms"), [(True, 100), (False, 400)])
def test_a_device_that_said_something_is_soon_looked_for_again(
    *, is_well: bool, pause_ms: int
) -> None:
    """One that is found and never speaks is not."""
    wire = Wire()
    line = ReopeningLine("bus", wire.open)
    tries_at(line, wire, 0, 200)
    wire.there = True
    assert tries_at(line, wire, 200, 1000) == [300]
    assert line.at(1000 * MS) is wire
    assert (line.fileno(), line.status()["fault"]) == (7, "")
    if is_well:
        line.reset_pause()
    line.lose(1000 * MS, PortLostError("hung up"))
    assert (wire.closed, line.fileno()) == (1, None)
    assert tries_at(line, wire, 1000, 2000) == [1000 + pause_ms]
    counted = {"unplugged": 1, "reconnects": 1, "open_failures": 2}
    assert line.status() == {"path": "bus", "fault": "", **counted}
    line.close()
    line.close()
    assert wire.closed == 2
