"""The carrier: commands from the broker to the control process, answers and events back.

Owns: the order that makes it safe: into the journal, then acknowledged to the broker, then to
the control process; each last answer into the journal, then to the broker until it has it.
Must not: open a command, judge it, or answer one. A gateway in wrong hands can lose or delay
messages, and the control process notices what is late; it cannot make one.
"""

import sqlite3
import ssl
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from edge_agent import __version__
from edge_agent.authority.body import Status
from edge_agent.authority.topics import ALL_STOP, topics_of
from edge_agent.core.clock import NS_PER_S
from edge_agent.core.command_ipc import (
    MAX_SEALED_BYTES,
    Answer,
    Carried,
    Happened,
    InForce,
    LinkUp,
    Standing,
    TwinSeen,
    Wanted,
)
from edge_agent.core.ipc import Welcome
from edge_agent.gateway.backlog import Backlog
from edge_agent.gateway.client import TAKEN_OVER, MqttLink
from edge_agent.gateway.command_socket import CommandSocket
from edge_agent.gateway.event_shelf import EventShelf
from edge_agent.gateway.journal import UNFINISHED_MAX, Arrival, Journal, Kept
from edge_agent.gateway.outbox import Outbox
from edge_agent.gateway.plane_settings import PlaneSettings
from edge_agent.gateway.replies import Replies
from edge_agent.gateway.retained import Retained
from edge_agent.gateway.self_description import describe
from edge_agent.gateway.session import LinkOptions, Received
from edge_agent.gateway.telemetry import Reporter, Source
from edge_agent.gateway.twins import Twins
from edge_agent.safety.limits import Envelope

RATE_PER_S: Final = 50
BURST: Final = 100
RETRY_NS: Final = NS_PER_S
_BYTES_PER_MB: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaneJob:
    """What the carrier is for. `password` is the broker's, already read."""

    settings: PlaneSettings
    envelope: Envelope
    control: str  # as configured
    run: str  # names this run of the gateway
    socket_path: Path
    folder: Path  # of the journal and the backlog
    password: str = ""
    tls: ssl.SSLContext | None = None


def link_options(job: PlaneJob) -> LinkOptions:
    """A connection of its own: another broker than the sensors', other rights, another will."""
    settings, topics = job.settings, topics_of(job.settings.id)
    (host, port), *others = settings.addresses
    return LinkOptions(
        host=host,
        port=port,
        others=tuple(others),
        client_id=f"ed-{settings.id}",
        protocol=settings.protocol,
        keepalive_s=settings.keepalive_s,
        username=settings.username,
        password=job.password,
        topics=(topics.cmd, ALL_STOP, topics.desired, topics.status),
        status_topic=topics.status,
        will=offline("connection lost", job.run),
        durable=True,
        tls=job.tls,
    )


def offline(why: str, run: str) -> bytes:
    """The status of a device that takes no commands."""
    return msgspec.msgpack.encode(Status(on=False, why=why, run=run))


def _reporter(job: PlaneJob, topic: str) -> Reporter:
    settings = job.settings
    max_age_ns = round(settings.backlog_hours_max * 3600 * NS_PER_S)
    path = job.folder / "telemetry.sqlite"
    backlog = Backlog(path, settings.backlog_mb_max * _BYTES_PER_MB, max_age_ns)
    return Reporter(Source(job.envelope, job.run, topic), backlog, settings.telemetry_rate_hz)


class Carrier:
    """All of the plane that is in the gateway process; `step` is one pass."""

    def __init__(self, job: PlaneJob, link: MqttLink) -> None:
        self._job = job
        self._topics = topics_of(job.settings.id)
        self._link = link
        self._control = CommandSocket(job.socket_path)
        self._journal = Journal(job.folder / "plane.sqlite")
        self._outbox = Outbox(self._journal)
        self._shelf = EventShelf(self._journal, self._topics.evt)
        self._retained = Retained()
        self._replies = Replies(self._topics.cmd, self._topics.resp)
        self._reporter = _reporter(job, self._topics.tele)
        self._standing: Standing | None = None
        self._announced = 0  # the connection that the control process knows of
        self._tokens_ns = BURST * NS_PER_S
        self._filled_ns = 0
        self._arrived: list[Received] = []  # neither kept nor acknowledged
        self._unsent: list[Kept] = []
        self._wanted: bytes | None = None  # the newest desired document
        self._wanted_due = False  # this control process has yet to be given it
        self._broken = False  # the journal cannot be written
        self._retry_ns = 0
        self._counts: Counter[str] = Counter()
        self._twins = Twins(job.run)
        self._left = False  # the plane, to one of them
        self._alarmed = False  # the control process knows

    def filenos(self) -> tuple[int | None, ...]:
        """Readable when `step` has something to do."""
        return self._link.fileno(), self._control.fileno()

    def step(self, now_ns: int) -> None:
        """See to everything that has come."""
        self._link.service(now_ns)
        self._attend(now_ns)
        messages = self._beware(self._link.take_messages(), now_ns)
        self._take_over(messages, now_ns)
        self._hand_on()
        self._hear()
        acks = self._link.take_acks()
        self._outbox.service(self._link, acks)
        self._keep_events(now_ns)
        self._retained.service(self._link)
        self._reporter.service(self._link, acks, now_ns, idle=self._outbox.idle)

    def meet(self, welcome: Welcome) -> None:
        """Who the control process is, and what it runs."""
        meta = describe(self._job.envelope, self._job.control, welcome.hashes)
        self._retained.set(self._topics.meta, msgspec.msgpack.encode(meta))

    def see(self, record: bytes, boot: str) -> None:
        """The newest tick, encoded."""
        self._reporter.see(record, boot)

    def counters(self) -> dict[str, int | str]:
        """State and counters by flat name."""
        link = {f"plane.{k.split('.', 1)[1]}": v for k, v in self._link.counters().items()}
        counts = {f"plane.{name}": count for name, count in self._counts.items()}
        reporter = {f"plane.{name}": n for name, n in self._reporter.counters().items()}
        return {
            **link,
            **counts,
            **reporter,
            "plane.outbox_waiting": self._outbox.waiting(),
            "plane.outbox_errors": self._outbox.errors,
            "plane.event_errors": self._shelf.errors,
            "plane.reply_topics_refused": self._replies.refused,
        }

    def close(self, now_ns: int) -> None:
        """Leave the broker cleanly."""
        self._hear()
        self._keep_events(now_ns)
        self._reporter.close(now_ns)
        self._outbox.service(self._link, self._link.take_acks())
        self._control.close()
        self._link.close(offline("stopped", self._job.run))
        self._journal.close()

    def _attend(self, now_ns: int) -> None:
        """Keep the control process told of the connection, and the broker of the control."""
        if self._control.connect(now_ns) or not self._control.connected:
            self._standing = None
            self._announced = 0
            self._wanted_due = True
        if not self._control.connected:
            self._link.set_status(offline("no control process", self._job.run))
            return
        news = self._link.listening and self._announced != self._link.connection
        if news and self._control.send(LinkUp(self._link.connection)):
            self._announced = self._link.connection
            self._standing = None  # until it has answered, what comes is only kept

    def _beware(self, messages: list[Received], now_ns: int) -> list[Received]:
        """What is for the control process; what others say in our name is for the twins."""
        others = []
        for message in messages:
            if message.topic != self._topics.status:
                others.append(message)
                continue
            self._link.ack(message)
            self._twins.hear(message.payload or b"", message.connection, now_ns)
        self._look_out(now_ns)
        return others

    def _look_out(self, now_ns: int) -> None:
        """Leave the plane to a twin, and raise the alarm."""
        if self._twins.seen and self._link.state != TAKEN_OVER:
            self._link.leave(now_ns, self._twins.seen, offline(self._twins.seen, self._job.run))
        if self._link.state != TAKEN_OVER or self._alarmed:
            return
        if not self._left:
            self._left = True
            sys.stderr.write(f"edge-agent: ALARM: left the plane: {self._link.last_reason}\n")
        self._alarmed = self._control.send(TwinSeen(self._link.last_reason))

    def _take_over(self, messages: list[Received], now_ns: int) -> None:
        """Into the journal, and only then acknowledged. While the disk fails, nothing is: the
        broker sends no more than its window, and what came waits here."""
        for message in messages:
            if message.payload is None or len(message.payload) > MAX_SEALED_BYTES:
                self._counts["oversized"] += 1
                self._link.ack(message)
            elif message.topic == self._topics.desired:
                self._wanted, self._wanted_due = message.payload, True
                self._link.ack(message)  # it is state: the broker, or the plane, has it still
            elif len(self._arrived) >= UNFINISHED_MAX:
                self._counts["turned_away"] += 1  # not acknowledged: it is of no use later
            elif not self._has_token(now_ns):
                self._counts["flooded"] += 1
                self._link.ack(message)
            else:
                self._arrived.append(message)
        if not self._arrived or (self._broken and now_ns < self._retry_ns):
            return
        arrivals = [
            Arrival(m.topic, m.payload or b"", m.retained, m.stamp_ns) for m in self._arrived
        ]
        boot = "" if self._standing is None else self._standing.boot
        try:
            added = self._journal.add(arrivals, boot)
        except sqlite3.Error:
            self._counts["journal_errors"] += 1
            self._broken, self._retry_ns = True, now_ns + RETRY_NS
            self._link.set_status(offline("its disk fails", self._job.run))
            return
        if self._broken:
            self._broken = False
            self._announced = 0  # a new session: what waited is old
        self._counts["carried"] += len(added.kept)
        self._counts["turned_away"] += added.turned_away
        self._unsent += added.kept
        self._replies.expect(self._arrived, added.kept)
        for answer in added.answers:
            self._link.publish(self._topics.resp, answer, qos=1)
        for message in self._arrived:
            self._link.ack(message)
        self._arrived.clear()

    def _hand_on(self) -> None:
        if self._wanted_due and self._wanted is not None:
            self._wanted_due = not self._control.send(Wanted(self._wanted))
        if self._standing is None:
            return
        while self._unsent:
            kept = self._unsent[0]
            interrupted = kept.boot not in ("", self._standing.boot)
            carried = Carried(
                kept.row, kept.topic, kept.sealed, kept.retained, interrupted, kept.stamp_ns
            )
            if not self._control.send(carried):
                return
            self._unsent.pop(0)

    def _hear(self) -> None:
        final: list[Answer] = []
        for message in self._control.receive():
            match message:
                case Standing(link=self._announced):
                    self._stand(message)
                case Standing():  # from before it knew of this connection
                    pass
                case Answer(final=True):
                    final.append(message)
                case Answer(body=body):
                    self._link.publish(self._topics.resp, body, qos=1)
                    self._replies.copy(self._link, message)
                case Happened():
                    self._shelf.take(message)
                case InForce(body=body, telemetry_rate_hz=rate_hz):
                    self._retained.set(self._topics.reported, body)
                    self._reporter.set_rate(rate_hz)
        if final:
            try:
                self._journal.finish(final, self._topics.resp)
                self._outbox.refill()
                for answer in final:
                    self._replies.copy(self._link, answer)
            except sqlite3.Error:  # the control process knows the answer when it is asked again
                self._counts["journal_errors"] += 1

    def _keep_events(self, now_ns: int) -> None:
        """After the answers, which somebody waits for."""
        kept = self._shelf.service(now_ns)
        if kept is not None:
            self._control.send(kept)  # if that finds no room, the next one says it too
            self._outbox.refill()
            self._outbox.service(self._link, [])

    def _stand(self, standing: Standing) -> None:
        """Tell the broker what commands must name; ask about all that has no last answer."""
        met = self._standing is None
        self._standing = standing
        if self._broken:
            return
        status = Status(
            on=True, boot=standing.boot, sess=standing.session, agent=__version__, run=self._job.run
        )
        self._link.set_status(msgspec.msgpack.encode(status))
        if not met:
            return
        try:
            self._unsent = self._journal.unfinished()
            self._journal.given([kept.row for kept in self._unsent], standing.boot)
        except sqlite3.Error:
            self._counts["journal_errors"] += 1

    def _has_token(self, now_ns: int) -> bool:
        """Whether a message is within the rate that the control process is spared."""
        earned_ns = RATE_PER_S * (now_ns - self._filled_ns)
        self._tokens_ns = min(BURST * NS_PER_S, self._tokens_ns + earned_ns)
        self._filled_ns = now_ns
        if self._tokens_ns < NS_PER_S:
            return False
        self._tokens_ns -= NS_PER_S
        return True
