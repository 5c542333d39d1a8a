"""Commands on their way to actuators that hang on the broker.

Owns: when the newest decision is published, and when it is too old to be. Must not: decide,
keep a command for later, retain one, or repeat one without a fresh decision behind it: a helper
that goes on saying what a dead decision maker once said is how a heater stays on.

The control process sends every decision; of these the newest counts. A change is published at
once, at most `every_ns` apart; the same value again each `refresh_ns`, so that the device's own
timeout does not end while all is well. QoS 0: a command that is delivered late is no command.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Protocol

from edge_agent.core.ipc import Actuate


class Publisher(Protocol):
    """The broker's connection, as far as this needs it."""

    def publish(self, topic: str, payload: bytes) -> int | None:
        """Send now or not at all; None: there is no connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """One actuator: what is said to it, where, and how often.

    raw = (value - `offset`) / `scale`, in place of `{value}` in `payload`; or one of `words`,
    off and on. A decision older than `fresh_ns` is not passed on: with the device's own timeout
    it makes up the lease.
    """

    name: str
    topic: str
    payload: str
    words: tuple[str, str] | None
    scale: float
    offset: float
    counts_per_unit: int
    every_ns: int
    refresh_ns: int
    fresh_ns: int

    def text(self, counts: int) -> bytes:
        """What is published for a command."""
        if self.words is not None:
            word = self.words[counts > 0]
        else:
            raw = (counts / self.counts_per_unit - self.offset) / self.scale
            word = f"{raw:.6f}".rstrip("0").rstrip(".")
            word = "0" if word == "-0" else word
        return self.payload.replace("{value}", word).encode()


class Actuators:
    """All actuators of one device, or none."""

    def __init__(self, drives: tuple[Drive, ...]) -> None:
        self._drives = drives
        self._order: Actuate | None = None
        self._sent: list[tuple[int, int] | None] = [None] * len(drives)  # counts, when
        self._counts: Counter[str] = Counter()

    def take(self, order: Actuate) -> None:
        """The newest decision; one that does not fit the device is counted and dropped."""
        if len(order.counts) != len(self._drives):
            self._counts["actuators.malformed"] += 1
            return
        self._order = order

    def publish(self, publisher: Publisher, now_ns: int) -> None:
        """Say what is due."""
        order = self._order
        if order is None:
            return
        for i, drive in enumerate(self._drives):
            counts = order.counts[i]
            if not self._is_due(i, counts, now_ns):
                continue
            if not 0 <= now_ns - order.decided_ns <= drive.fresh_ns:
                self._counts[f"actuator.{drive.name}.stale"] += 1
                self._order = None  # counted once; only another decision says more
                return
            if publisher.publish(drive.topic, drive.text(counts)) is None:
                self._counts[f"actuator.{drive.name}.unsent"] += 1
                continue
            self._sent[i] = counts, now_ns
            self._counts[f"actuator.{drive.name}.published"] += 1

    def counters(self) -> dict[str, int]:
        """`actuator.<channel>.<what became of it>` to how often."""
        return dict(self._counts)

    def _is_due(self, i: int, counts: int, now_ns: int) -> bool:
        sent, drive = self._sent[i], self._drives[i]
        if sent is None:
            return True
        wait_ns = drive.refresh_ns
        if counts != sent[0]:
            wait_ns = min(wait_ns, drive.every_ns)
        return now_ns - sent[1] >= wait_ns
