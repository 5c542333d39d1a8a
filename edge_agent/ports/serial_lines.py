"""The port to a board that is not ours and writes lines of text: sensors only.

Owns: one serial port and its reopening with backoff, and what was counted. Must not: block,
raise for a fault of the board, or send it anything: it has no dead man of ours.

A Reading is stamped when its line arrived. A pulled cable is silence: each channel's own age
limit says when that matters.
"""

from collections import Counter
from collections.abc import Callable
from typing import Protocol

from edge_agent.core.clock import NS_PER_MS
from edge_agent.core.fields import Cause
from edge_agent.core.records import Command, Quality, Reading
from edge_agent.ports.serial_lines_decode import LineBuffer, LineDecoder
from firmware_bridge.errors import SerialFaultError

_BACKOFF_FIRST_NS = 100 * NS_PER_MS
_BACKOFF_LAST_NS = 2_000 * NS_PER_MS


class TextLine(Protocol):
    """An open serial line; `read` raises SerialFaultError when it is lost, and never blocks."""

    def fileno(self) -> int: ...
    def read(self) -> bytes: ...
    def close(self) -> None: ...


class SerialLinesPort:
    """The channels that one board reports in text."""

    def __init__(self, name: str, open_line: Callable[[], TextLine], decoder: LineDecoder) -> None:
        """`open_line` is called by `poll` until it succeeds; it raises SerialFaultError."""
        self._name = name
        self._open_line = open_line
        self._decoder = decoder
        self._line: TextLine | None = None
        self._buffer = LineBuffer()
        self._too_long = 0
        self._counts: Counter[str] = Counter()
        self._retry_at_ns = 0
        self._backoff_ns = _BACKOFF_FIRST_NS
        self._fault = ""
        self._opens = 0
        self._losses = 0

    def poll(self, now_ns: int) -> list[Reading]:
        """What arrived since the last call; of each channel the newest."""
        try:
            if self._line is None and not self._open(now_ns):
                return []
            return self._readings(now_ns)
        except SerialFaultError as fault:
            self._lose(now_ns, fault)
            return []

    def apply(self, now_ns: int, command: Command) -> None:
        """Sensors only: nothing is ever sent."""

    def fileno(self) -> int | None:
        """The open descriptor, or None while the board is away."""
        return None if self._line is None else self._line.fileno()

    def status(self) -> dict[str, int | str]:
        """Lines, values by outcome, and the port's history."""
        return {
            "path": self._name,
            "fault": self._fault,
            "unplugged": self._losses,
            "reconnects": max(0, self._opens - 1),
            "too_long": self._too_long + self._buffer.too_long,
            **self._counts,
        }

    def close(self) -> None:
        """Release the port."""
        if self._line is not None:
            self._line.close()
            self._line = None

    def _open(self, now_ns: int) -> bool:
        if now_ns < self._retry_at_ns:
            return False
        self._line = self._open_line()
        self._too_long += self._buffer.too_long
        self._buffer = LineBuffer()
        self._opens += 1
        self._fault = ""
        return True

    def _readings(self, now_ns: int) -> list[Reading]:
        if self._line is None:
            return []
        newest: dict[int, Reading] = {}
        for line in self._buffer.feed(self._line.read()):
            self._counts["lines"] += 1
            values = self._decoder.decode(line)
            self._counts["lines_about_nothing"] += not values
            for channel, counts in values:
                newest[channel] = self._reading(channel, counts, now_ns)
        if newest:
            self._backoff_ns = _BACKOFF_FIRST_NS
        return list(newest.values())

    def _reading(self, channel: int, counts: int | Cause, now_ns: int) -> Reading:
        if isinstance(counts, Cause):
            self._counts[counts.value] += 1
            return Reading(channel, 0, now_ns, Quality.INVALID)
        self._counts["good"] += 1
        return Reading(channel, counts, now_ns, Quality.GOOD)

    def _lose(self, now_ns: int, fault: SerialFaultError) -> None:
        self._losses += self._line is not None
        self.close()
        self._fault = str(fault)
        self._retry_at_ns = now_ns + self._backoff_ns
        self._backoff_ns = min(2 * self._backoff_ns, _BACKOFF_LAST_NS)
