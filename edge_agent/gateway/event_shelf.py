"""Events on their way from the control process into the journal.

Owns: those that a failing disk has not yet taken, in their order, and which one is confirmed.
Must not: skip one: a later event is never written before an earlier one.
"""

import sqlite3
from typing import Final

from edge_agent.core.clock import NS_PER_S
from edge_agent.core.command_ipc import EventsKept, Happened
from edge_agent.gateway.journal import Journal

RETRY_NS: Final = NS_PER_S


class EventShelf:
    """What was told and is not on the disk. The control process bounds it: it tells no more than
    it keeps itself."""

    def __init__(self, journal: Journal, topic: str) -> None:
        self._journal = journal
        self._topic = topic
        self._waiting: list[Happened] = []
        self._retry_ns = 0
        self.errors = 0

    def take(self, happened: Happened) -> None:
        """One that was told."""
        self._waiting.append(happened)

    def service(self, now_ns: int) -> EventsKept | None:
        """Write all of them; what to confirm to the control process, None when there is nothing."""
        if not self._waiting or now_ns < self._retry_ns:
            return None
        try:
            self._journal.keep_events(self._waiting, self._topic)
        except sqlite3.Error:
            self.errors += 1
            self._retry_ns = now_ns + RETRY_NS
            return None
        last = self._waiting[-1]
        self._waiting.clear()
        return EventsKept(last.boot, last.seq)
