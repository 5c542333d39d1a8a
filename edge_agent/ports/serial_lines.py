"""The port to a board that is not ours and writes lines of text: sensors only.

Owns: what one board's lines become, and what was counted. Must not: block, raise for a fault
of the board, or send it anything: it has no dead man of ours.

A Reading is stamped when its line arrived. A pulled cable is silence: each channel's own age
limit says when that matters.
"""

from collections import Counter
from collections.abc import Callable
from typing import Protocol

from edge_agent.core.records import Command, Reading
from edge_agent.ports.reopening import ReopeningLine
from edge_agent.ports.rows import reading_of
from edge_agent.ports.serial_lines_decode import LineBuffer, LineDecoder
from firmware_bridge.errors import SerialFaultError


class TextLine(Protocol):
    """An open serial line; `read` raises SerialFaultError when it is lost, and never blocks."""

    def fileno(self) -> int: ...
    def read(self) -> bytes: ...
    def close(self) -> None: ...


class SerialLinesPort:
    """The channels that one board reports in text."""

    def __init__(self, name: str, open_line: Callable[[], TextLine], decoder: LineDecoder) -> None:
        """`open_line` is called by `poll` until it succeeds; it raises SerialFaultError."""
        self._line = ReopeningLine(name, open_line)
        self._decoder = decoder
        self._buffer = LineBuffer()
        self._too_long = 0
        self._counts: Counter[str] = Counter()

    def poll(self, now_ns: int) -> list[Reading]:
        """What arrived since the last call; of each channel the newest."""
        try:
            line = self._line.at(now_ns)
            return [] if line is None else self._readings(now_ns, line.read())
        except SerialFaultError as fault:
            self._line.lose(now_ns, fault)
            self._too_long += self._buffer.too_long
            self._buffer = LineBuffer()
            return []

    def apply(self, now_ns: int, command: Command) -> None:
        """Sensors only: nothing is ever sent."""

    def fileno(self) -> int | None:
        """The open descriptor, or None while the board is away."""
        return self._line.fileno()

    def status(self) -> dict[str, int | str]:
        """Lines, values by outcome, and the port's history."""
        return {
            **self._line.status(),
            "too_long": self._too_long + self._buffer.too_long,
            **self._counts,
        }

    def close(self) -> None:
        """Release the port."""
        self._line.close()

    def _readings(self, now_ns: int, data: bytes) -> list[Reading]:
        newest: dict[int, Reading] = {}
        for line in self._buffer.feed(data):
            self._counts["lines"] += 1
            values = self._decoder.decode(line)
            self._counts["lines_about_nothing"] += not values
            for channel, counts in values:
                newest[channel] = reading_of(channel, counts, now_ns, self._counts)
        if newest:
            self._line.reset_pause()
        return list(newest.values())
