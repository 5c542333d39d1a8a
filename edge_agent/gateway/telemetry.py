"""Telemetry for the plane: a sample now and then, live when there is a connection, kept when not.

Owns: the rate, the numbers that make a gap visible, and how the kept samples follow: slowly,
oldest first, after events and answers, never before the present. Must not: keep more than its
bounds, or hold anything up: when the disk fails, samples are lost and counted.
"""

import sqlite3
from collections import Counter
from typing import Final, NamedTuple

import msgspec

from edge_agent.authority.documents import Telemetry, cause_of
from edge_agent.core.clock import NS_PER_MS, NS_PER_S, utc_now_ns
from edge_agent.core.records import Mode, TickRecord
from edge_agent.decision.words import who_decides
from edge_agent.gateway.backlog import Backlog, Sample
from edge_agent.gateway.client import MqttLink
from edge_agent.gateway.values import Values
from edge_agent.safety.limits import Envelope

FLUSH_EVERY_NS: Final = NS_PER_S
BACKLOG_WINDOW: Final = 5  # a quarter of what may be under way
BACKLOG_PER_S: Final = 50


class Source(NamedTuple):
    """Whose telemetry it is. `run` names this run of the gateway."""

    envelope: Envelope
    run: str
    topic: str


class Reporter:
    """Samples the newest tick and gets the samples to the plane."""

    def __init__(self, source: Source, backlog: Backlog, rate_hz: float) -> None:
        self._source = source
        self._values = Values(source.envelope)
        self._decode = msgspec.msgpack.Decoder(TickRecord).decode
        self._encode = msgspec.msgpack.Encoder().encode
        self._backlog = backlog
        self._every_ns = round(NS_PER_S / rate_hz)
        self._due_ns = 0
        self._newest: tuple[bytes, str] | None = None  # encoded record, boot
        self._seq = 0
        self._fresh: list[Sample] = []  # not yet on the disk
        self._flush_ns = 0
        self._connection = -1
        self._in_flight: dict[int, int] = {}  # message id -> row
        self._sent_to = 0
        self._next_ns = 0  # when the next kept sample may follow
        self._counts: Counter[str] = Counter()

    def see(self, record: bytes, boot: str) -> None:
        """The newest tick."""
        self._newest = record, boot

    def set_rate(self, rate_hz: float) -> None:
        """From now on so many samples a second."""
        every_ns = round(NS_PER_S / rate_hz)
        if every_ns != self._every_ns:
            self._every_ns = every_ns
            self._due_ns = 0

    def service(self, link: MqttLink, acks: list[int], now_ns: int, *, idle: bool) -> None:
        """Sample if it is time, and send what may be sent. `idle`: nothing else waits to be."""
        if self._newest is not None and now_ns >= self._due_ns:
            late_ns = now_ns - self._due_ns
            self._due_ns = now_ns + self._every_ns - (late_ns if late_ns < self._every_ns else 0)
            self._sample(link, now_ns)
        try:
            self._strike_out(link, acks)
            if self._fresh and now_ns - self._flush_ns >= FLUSH_EVERY_NS:
                self._flush(now_ns)
            if idle and link.connected and now_ns >= self._next_ns:
                self._follow(link, now_ns)
        except sqlite3.Error:
            self._counts["backlog_errors"] += 1

    def counters(self) -> dict[str, int]:
        """Samples by what became of them, and what is kept."""
        return {
            **self._counts,
            "backlog_bytes": self._backlog.size_bytes,
            "backlog_dropped": self._backlog.dropped,
        }

    def close(self, now_ns: int) -> None:
        """Write down what is not."""
        try:
            self._flush(now_ns)
        except sqlite3.Error:
            self._counts["backlog_errors"] += 1
        self._backlog.close()

    def _sample(self, link: MqttLink, now_ns: int) -> None:
        newest, self._newest = self._newest, None
        if newest is None:
            return
        try:
            sample = self._words(self._decode(newest[0]), newest[1])
        except (msgspec.DecodeError, ValueError):  # a control process of another version
            self._counts["telemetry_malformed"] += 1
            return
        if link.publish(self._source.topic, self._encode(sample)) is not None:
            self._counts["telemetry_live"] += 1
            return
        self._counts["telemetry_kept"] += 1
        kept = self._encode(msgspec.structs.replace(sample, hist=True))
        self._fresh.append(Sample(now_ns, kept))

    def _words(self, record: TickRecord, boot: str) -> Telemetry:
        measured = self._values.measured(record)
        self._seq += 1
        return Telemetry(
            boot=boot,
            run=self._source.run,
            seq=self._seq,
            at=record.now_ns,
            utc_ms=utc_now_ns() // NS_PER_MS,
            tick=record.tick,
            mode=Mode(record.mode).name,
            decides=who_decides(record),
            driven=not record.monitor,
            values=measured.values,
            doubtful=measured.doubtful,
            command=self._values.command(record),
            cause=cause_of(record.cause, self._source.envelope),
        )

    def _flush(self, now_ns: int) -> None:
        """To the disk. What it does not take is lost, lest it pile up in memory."""
        self._flush_ns = now_ns
        fresh, self._fresh = self._fresh, []
        self._backlog.add(fresh, now_ns)

    def _strike_out(self, link: MqttLink, acks: list[int]) -> None:
        if link.connection != self._connection:
            self._connection = link.connection
            self._in_flight.clear()
            self._sent_to = 0
        for mid in acks:
            if mid in self._in_flight:
                self._backlog.heard(self._in_flight.pop(mid))

    def _follow(self, link: MqttLink, now_ns: int) -> None:
        room = BACKLOG_WINDOW - len(self._in_flight)
        if room <= 0 or not self._backlog.size_bytes:
            return
        for row, payload in self._backlog.oldest(self._sent_to, room):
            mid = link.publish(self._source.topic, payload, qos=1)
            if mid is None:
                return
            self._in_flight[mid] = row
            self._sent_to = row
            self._next_ns = max(self._next_ns, now_ns) + NS_PER_S // BACKLOG_PER_S
            self._counts["telemetry_late"] += 1
