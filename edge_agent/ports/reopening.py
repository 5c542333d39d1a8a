"""A serial line that is opened, lost, and opened again with growing pauses.

Owns: the open line, the pauses, and the history of both. Must not: read or write a byte of it.
"""

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from edge_agent.core.clock import NS_PER_MS
from firmware_bridge.errors import SerialFaultError

_BACKOFF_FIRST_NS = 100 * NS_PER_MS
_BACKOFF_LAST_NS = 2_000 * NS_PER_MS


class OpenLine(Protocol):
    """What any open line has."""

    def fileno(self) -> int | None:
        """Readable when something has arrived; None when it cannot be waited for."""

    def close(self) -> None:
        """Release it."""


LineT = TypeVar("LineT", bound=OpenLine)


class ReopeningLine(Generic[LineT]):
    """One line under its name."""

    def __init__(self, name: str, open_line: Callable[[], LineT]) -> None:
        """`open_line` raises SerialFaultError while the device is away."""
        self._name = name
        self._open_line = open_line
        self.line: LineT | None = None  # None while the device is away
        self._retry_at_ns = 0
        self._backoff_ns = _BACKOFF_FIRST_NS
        self._fault = ""
        self._opens = 0
        self._open_failures = 0
        self._losses = 0

    def at(self, now_ns: int) -> LineT | None:
        """The open line, opened now if it is time to; None in a pause. May raise the fault of
        the opener, which belongs into `lose`."""
        if self.line is None and now_ns >= self._retry_at_ns:
            self.line = self._open_line()
            self._opens += 1
            self._fault = ""
        return self.line

    def lose(self, now_ns: int, fault: SerialFaultError) -> None:
        """It was lost or could not be opened: try again after a pause."""
        self._losses += self.line is not None
        self._open_failures += self.line is None
        self.close()
        self._fault = str(fault)
        self._retry_at_ns = now_ns + self._backoff_ns
        self._backoff_ns = min(2 * self._backoff_ns, _BACKOFF_LAST_NS)

    def reset_pause(self) -> None:
        """The device said something of use: the next pause is a short one again."""
        self._backoff_ns = _BACKOFF_FIRST_NS

    def fileno(self) -> int | None:
        """The open descriptor, or None while the device is away."""
        return None if self.line is None else self.line.fileno()

    def status(self) -> dict[str, int | str]:
        """Its name, what is wrong with it now, and how often that was."""
        return {
            "path": self._name,
            "fault": self._fault,
            "unplugged": self._losses,
            "reconnects": max(0, self._opens - 1),
            "open_failures": self._open_failures,
        }

    def close(self) -> None:
        """Release it; harmless when it is not open."""
        if self.line is not None:
            self.line.close()
            self.line = None
