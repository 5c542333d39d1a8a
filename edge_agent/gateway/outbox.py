"""Sending the outbox: in order, a window at a time, until the broker has it.

Owns: what is under way on the present connection. Must not: keep messages; the journal does.
"""

import sqlite3
from typing import Final

from edge_agent.gateway.client import MqttLink
from edge_agent.gateway.journal import Journal

WINDOW: Final = 20


class Outbox:
    """What is sent on one connection after another."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._in_flight: dict[int, int] = {}  # message id -> row
        self._sent_to = 0
        self._connection = -1
        self._drained = False  # the journal had no more when last asked
        self.errors = 0

    def refill(self) -> None:
        """There is something new in the journal."""
        self._drained = False

    @property
    def idle(self) -> bool:
        """Whether the broker has everything, as far as is known."""
        return self._drained and not self._in_flight

    def waiting(self) -> int:
        """How many no broker has; -1 while the disk does not say."""
        try:
            return self._journal.outbox_rows()
        except sqlite3.Error:
            self.errors += 1
            return -1

    def service(self, link: MqttLink, acks: list[int]) -> None:
        """Strike out what was acknowledged, and send what fits into the window."""
        if link.connection != self._connection:
            self._connection = link.connection
            self._in_flight.clear()
            self._sent_to = 0
            self._drained = False
        try:
            heard = [self._in_flight.pop(mid) for mid in acks if mid in self._in_flight]
            if heard:
                self._journal.heard(heard)
            room = min(WINDOW, link.window) - len(self._in_flight)
            if self._drained or not link.connected or room <= 0:
                return
            waiting = self._journal.waiting(self._sent_to, room)
            for row, topic, payload in waiting:
                mid = link.publish(topic, payload, qos=1)
                if mid is None:
                    return
                self._in_flight[mid] = row
                self._sent_to = row
            self._drained = len(waiting) < room
        except sqlite3.Error:  # a disk that fails; what is there is sent when it works again
            self.errors += 1
