"""Time as an interface. This is the only file of the package that reads a clock.

Owns: the monotonic nanosecond clock, pacing to absolute deadlines, and a manual clock.
Must not: be called twice for the same fact: the loop reads `now_ns` once per tick and passes
it on; durations inside a tick are measured separately and stored as data.
"""

import time
from typing import Protocol

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
NS_PER_US = 1_000


class Clock(Protocol):
    """Monotonic time in nanoseconds, and waiting on it."""

    def now_ns(self) -> int:
        """The present instant; never goes back."""

    def sleep_until_ns(self, deadline_ns: int) -> None:
        """Return at `deadline_ns`, or at once when it has passed."""


class SystemClock:
    """CLOCK_MONOTONIC, shared by all processes of one machine."""

    def now_ns(self) -> int:
        return time.monotonic_ns()

    def sleep_until_ns(self, deadline_ns: int) -> None:
        delay_ns = deadline_ns - time.monotonic_ns()
        if delay_ns > 0:
            time.sleep(delay_ns / NS_PER_S)


class ManualClock:
    """A clock that moves only when told to: simulation, tests and replay."""

    def __init__(self, now_ns: int = 0) -> None:
        self._now_ns = now_ns

    def now_ns(self) -> int:
        return self._now_ns

    def sleep_until_ns(self, deadline_ns: int) -> None:
        self._now_ns = max(self._now_ns, deadline_ns)

    def advance_ns(self, by_ns: int) -> None:
        self._now_ns += by_ns


def utc_now_ns() -> int:
    """Wall-clock time (UTC, ns since 1970): for file names and headers, never for control."""
    return time.time_ns()
