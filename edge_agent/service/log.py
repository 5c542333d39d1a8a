"""What the service says of itself, for journald or a terminal: a level, a line, never a wait.

Owns: the levels, the form of a line, how many there may be, and the one line a change of mode
is. Must not: keep a tick waiting for whoever reads (a line that finds no room is dropped and
counted), or say a secret: it is told words that `status` shows too.

journald takes a level from `<4>` before a line; a terminal would show it, so it is written only
where standard error is the journal's own stream, as JOURNAL_STREAM names it.
"""

import os
import select
from collections.abc import Mapping
from enum import IntEnum
from typing import Final

from edge_agent.core.clock import NS_PER_S, Clock
from edge_agent.core.records import Mode, TickRecord
from edge_agent.decision.words import explain_reason
from edge_agent.safety.limits import Envelope

BURST: Final = 20
PER_LINE_NS: Final = NS_PER_S
_LINE_BYTES_MAX: Final = 2048  # less than a pipe takes whole
_STDERR: Final = 2


class Level(IntEnum):
    """syslog's numbers, as journald reads them."""

    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFO = 6


_LEVELS: Final[Mapping[int, Level]] = {
    Mode.TRIPPED: Level.ERROR,
    Mode.HOLDING: Level.WARNING,
    Mode.RAMPING: Level.WARNING,
}


def is_journal(environment: Mapping[str, str], fd: int = _STDERR) -> bool:
    """Whether `fd` is the stream to journald that the service manager made."""
    try:
        facts = os.fstat(fd)
    except OSError:
        return False
    return environment.get("JOURNAL_STREAM", "") == f"{facts.st_dev}:{facts.st_ino}"


def formed(level: Level, words: str, *, journal: bool) -> str:
    """One entry: its lines, each with its level where journald reads them."""
    prefix = f"<{level:d}>" if journal else ""
    return "".join(f"{prefix}{line}\n" for line in f"edge-agent: {words}".splitlines())


class Log:
    """At most `BURST` lines at once and one a second on the average; the rest is counted, and the
    next line says how many there were."""

    def __init__(self, clock: Clock, fd: int = _STDERR, *, journal: bool | None = None) -> None:
        self._clock = clock
        self._fd = fd
        self._journal = is_journal(os.environ, fd) if journal is None else journal
        self._room_ns = BURST * PER_LINE_NS
        self._seen_ns = clock.now_ns()
        self._unsaid = 0
        self._dropped = 0

    def say(self, level: Level, words: str) -> None:
        """Write one line if there is room for it; never waits, never raises."""
        now_ns = self._clock.now_ns()
        room_ns = self._room_ns + now_ns - self._seen_ns
        self._room_ns = min(BURST * PER_LINE_NS, room_ns)
        self._seen_ns = now_ns
        if self._room_ns < PER_LINE_NS or not self._write(level, words):
            self._unsaid += 1
            self._dropped += 1
            return
        self._room_ns -= PER_LINE_NS
        self._unsaid = 0

    def status(self) -> dict[str, int | str]:
        """How much was not said."""
        return {"lines_dropped": self._dropped}

    def _write(self, level: Level, words: str) -> bool:
        more = f" ({self._unsaid} lines before it were dropped)" if self._unsaid else ""
        line = " ".join(words.split())[: _LINE_BYTES_MAX // 4] + more
        data = formed(level, line, journal=self._journal).encode("utf-8", "replace")
        try:
            if not select.select((), (self._fd,), (), 0)[1]:
                return False
            return os.write(self._fd, data) == len(data)
        except (OSError, ValueError):  # closed, or its reader is gone
            return False


class ModeLog:
    """A sink of the loop: a line whenever the supervisor's mode changes, with its cause."""

    def __init__(self, log: Log, envelope: Envelope) -> None:
        self._log = log
        self._envelope = envelope
        self._mode = int(Mode.SAFE)

    def publish(self, tick: TickRecord) -> None:
        """Look at one tick."""
        if tick.mode == self._mode:
            return
        before, self._mode = Mode(self._mode).name, tick.mode
        why = f": {explain_reason(tick.cause, self._envelope)}" if tick.cause else ""
        words = f"mode={Mode(tick.mode).name} before={before} tick={tick.tick}{why}"
        self._log.say(_LEVELS.get(tick.mode, Level.NOTICE), words)
