"""The control process's end of the Unix socket: readings in, tick records and status out.

Owns: the listening socket, its peers, and the check of every reading that a peer hands over.
Must not: block, wait for a peer, or raise for what a peer does. A full queue drops and counts;
a peer that breaks the protocol is dropped and counted. The newest reading per channel is the
snapshot's business: everything that passes the check is returned.

Peers are few: one gateway, and short-lived `status` peers, each of which gets one report.
"""

import errno
import select
import socket
from collections import deque
from collections.abc import Collection
from pathlib import Path
from typing import Any

import msgspec

from edge_agent.core.clock import NS_PER_MS, NS_PER_S
from edge_agent.core.datagrams import DatagramBuffer
from edge_agent.core.ipc import (
    MAX_DATAGRAM_BYTES,
    ROLE_GATEWAY,
    ROLE_STATUS,
    Actuate,
    Bye,
    Codec,
    ControlMessage,
    GatewayMessage,
    GatewayReport,
    Hello,
    ReadingsBatch,
    StatusReport,
    Tick,
    Welcome,
)
from edge_agent.core.records import Command, Quality, Reading, TickRecord
from edge_agent.core.units import COUNTS_LIMIT
from edge_agent.ports.listening import listen

MAX_PEERS = 4
DATAGRAMS_PER_PEER_PER_POLL = 16
ACCEPTS_PER_POLL = 4
# What a gateway may be behind with, say while it waits for a slow disk. The kernel's default
# holds 166 small ticks, under a second at 200 Hz; it cuts this wish to its own limit.
QUEUE_BYTES = 1 << 20
# Ticks kept while no gateway is there: a run's first moments, which its recording would miss
# until the gateway has started, and the gap between two gateways. The oldest goes first.
BACKLOG_TICKS = 1024
BACKLOG_SENDS_PER_TICK = 32  # so that catching up never takes a tick's time
HELLO_WITHIN_NS = 2 * NS_PER_S
# Both processes read CLOCK_MONOTONIC of one machine; this covers a tick that read it earlier.
FUTURE_TOLERANCE_NS = 50 * NS_PER_MS
_COUNTERS = (
    "readings",
    "readings_refused",
    "datagrams_malformed",
    "datagrams_refused",
    "peers_dropped",
    "peers_refused",
    "gateway_connects",
    "sends_dropped",
    "sends_oversize",
    "backlog_dropped",
)
_TAKEN = (Quality.GOOD, Quality.INVALID)


class _Peer:
    """One accepted connection; `role` is empty until it said Hello."""

    def __init__(self, sock: socket.socket, accepted_ns: int) -> None:
        self.sock = sock
        self.accepted_ns = accepted_ns
        self.role = ""


class GatewayRelay:
    """The port behind which the network is."""

    def __init__(
        self, path: Path, welcome: Welcome, channels: Collection[int], *, drives: bool = False
    ) -> None:
        """Listen on `path`, as `listen` does; accept readings of `channels` only. `drives`: the
        actuators hang on the broker, so the gateway is told every command.

        PortError when the path cannot be used or another control process answers on it.
        """
        self._path = path
        self._welcome = welcome
        self._channels = frozenset(channels)
        self._drives = drives
        self._codec = Codec()
        self._encode_record = msgspec.msgpack.Encoder().encode
        self._backlog: deque[bytes] = deque()
        self._peers: dict[int, _Peer] = {}
        self._gateway: _Peer | None = None
        self._buffer = DatagramBuffer(MAX_DATAGRAM_BYTES)
        self._control_status: dict[str, Any] = {}
        self._gateway_report: dict[str, int | str] = {}
        self._gateway_report_ns = 0
        self._counts = dict.fromkeys(_COUNTERS, 0)
        self._listener = listen(path, MAX_PEERS)
        self._inode = path.stat().st_ino
        self._epoll = select.epoll()
        self._epoll.register(self._listener.fileno(), select.EPOLLIN)

    @property
    def gateway_connected(self) -> bool:
        """Whether a gateway has said Hello and is still there."""
        return self._gateway is not None

    def fileno(self) -> int:
        """Readable when `poll` has something to do."""
        return self._epoll.fileno()

    def poll(self, now_ns: int) -> list[Reading]:
        """Accept peers, drain a bounded number of datagrams, return the readings that pass."""
        readings: list[Reading] = []
        for descriptor, _events in self._epoll.poll(0, MAX_PEERS + 1):
            if descriptor == self._listener.fileno():
                self._accept(now_ns)
            elif (peer := self._peers.get(descriptor)) is not None:
                self._drain(peer, now_ns, readings)
        if len(self._peers) > (self._gateway is not None):
            self._drop_silent(now_ns)
        return readings

    def apply(self, now_ns: int, command: Command) -> None:
        """Tell the gateway, if the actuators are behind it; with none there they become safe
        by their own timeout."""
        if self._drives and self._gateway is not None:
            self._send(self._gateway, Actuate(now_ns, command.counts))

    def publish(self, tick: TickRecord) -> None:
        """Hand the tick to the gateway, or keep it until there is one; never waits."""
        record = self._encode_record(tick)
        if self._gateway is not None and not self._backlog:
            self._send(self._gateway, Tick(record))
            return
        if len(self._backlog) == BACKLOG_TICKS:
            self._backlog.popleft()
            self._counts["backlog_dropped"] += 1
        self._backlog.append(record)
        for _ in range(BACKLOG_SENDS_PER_TICK):
            if self._gateway is None or not self._backlog:
                return
            self._send(self._gateway, Tick(self._backlog.popleft()))

    def publish_status(self, items: dict[str, Any]) -> None:
        """Keep `items` for status peers and hand them to the gateway; never waits."""
        self._control_status = items
        if self._gateway is not None:
            self._send(self._gateway, StatusReport(items))

    def status(self) -> dict[str, int | str]:
        """Counters and state by name."""
        return {
            "gateway": "connected" if self._gateway is not None else "absent",
            "peers": len(self._peers),
            "backlog": len(self._backlog),
            **self._counts,
        }

    def close(self) -> None:
        """Tell every peer, and remove the socket if it is still ours."""
        for peer in list(self._peers.values()):
            self._send(peer, Bye("control process stops"))
            self._drop(peer)
        self._epoll.close()
        self._listener.close()
        try:
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()
        except FileNotFoundError:
            pass

    def _accept(self, now_ns: int) -> None:
        for _ in range(ACCEPTS_PER_POLL):
            try:
                sock, _address = self._listener.accept()
            except OSError:  # nobody waits any more, or no descriptor is free
                return
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, QUEUE_BYTES)
            peer = _Peer(sock, now_ns)
            if len(self._peers) >= MAX_PEERS:
                self._counts["peers_refused"] += 1
                sock.close()
                continue
            self._peers[sock.fileno()] = peer
            self._epoll.register(sock.fileno(), select.EPOLLIN)

    def _drain(self, peer: _Peer, now_ns: int, readings: list[Reading]) -> None:
        for _ in range(DATAGRAMS_PER_PEER_PER_POLL):
            datagram = self._buffer.receive(peer.sock)
            if datagram is None:
                return
            if not datagram:
                self._drop(peer)
                return
            message = self._codec.from_gateway(datagram)
            if message is None or not self._obey(peer, message, now_ns, readings):
                self._misbehaved(peer, message)
                return
            if peer.sock.fileno() < 0:  # answered and closed
                return

    def _obey(
        self, peer: _Peer, message: GatewayMessage, now_ns: int, readings: list[Reading]
    ) -> bool:
        """Act on one message; False when this peer may not say it now."""
        match message:
            case Hello(role=role):
                return not peer.role and self._greet(peer, role, now_ns)
            case ReadingsBatch(readings=batch) if peer is self._gateway:
                self._counts["readings"] += len(batch)
                readings.extend(_not_after(r, now_ns) for r in batch if self._accepts(r, now_ns))
                return True
            case GatewayReport(items=items) if peer is self._gateway:
                self._gateway_report = items
                self._gateway_report_ns = now_ns
                return True
        return False

    def _greet(self, peer: _Peer, role: str, now_ns: int) -> bool:
        if role == ROLE_STATUS:
            self._send(peer, StatusReport(self._full_status(now_ns)))
            self._drop(peer)
            return True
        if role != ROLE_GATEWAY:
            return False
        if self._gateway is not None:
            self._counts["peers_refused"] += 1
            self._send(peer, Bye("another gateway is connected"))
            self._drop(peer)
            return True
        peer.role = role
        self._gateway = peer
        self._counts["gateway_connects"] += 1
        self._send(peer, self._welcome)
        return True

    def _accepts(self, reading: Reading, now_ns: int) -> bool:
        """Positive form: every field inside its range, or the reading is refused."""
        accepted = (
            reading.channel in self._channels
            and -COUNTS_LIMIT <= reading.counts <= COUNTS_LIMIT
            and 0 <= reading.stamp_ns <= now_ns + FUTURE_TOLERANCE_NS
            and reading.quality in _TAKEN
        )
        if not accepted:
            self._counts["readings_refused"] += 1
        return accepted

    def _full_status(self, now_ns: int) -> dict[str, Any]:
        gateway: dict[str, Any] = {"connected": self.gateway_connected}
        if self._gateway_report_ns:
            gateway["report_age_ns"] = now_ns - self._gateway_report_ns
            gateway["report"] = self._gateway_report
        return {"control": self._control_status, "gateway": gateway, "relay": self.status()}

    def _send(self, peer: _Peer, message: ControlMessage) -> None:
        datagram = self._codec.encode(message)
        if datagram is None:
            self._counts["sends_oversize"] += 1
            return
        try:
            peer.sock.send(datagram)
        except BlockingIOError:
            self._counts["sends_dropped"] += 1
        except OSError as error:
            # The kernel's send buffer may be smaller than our limit.
            if error.errno == errno.EMSGSIZE:
                self._counts["sends_oversize"] += 1
            else:
                self._drop(peer)

    def _drop_silent(self, now_ns: int) -> None:
        for peer in list(self._peers.values()):
            if not peer.role and now_ns - peer.accepted_ns > HELLO_WITHIN_NS:
                self._misbehaved(peer, None)

    def _misbehaved(self, peer: _Peer, message: GatewayMessage | None) -> None:
        self._counts["datagrams_malformed" if message is None else "datagrams_refused"] += 1
        self._counts["peers_dropped"] += 1
        self._drop(peer)

    def _drop(self, peer: _Peer) -> None:
        descriptor = peer.sock.fileno()
        if descriptor < 0:
            return
        self._epoll.unregister(descriptor)
        del self._peers[descriptor]
        peer.sock.close()
        if peer is self._gateway:
            self._gateway = None


def _not_after(reading: Reading, now_ns: int) -> Reading:
    """A sample taken after this tick's clock was read, and before its poll, is from now: to the
    agent a stamp from the future would be a fault of the sensor."""
    if reading.stamp_ns <= now_ns:
        return reading
    return Reading(reading.channel, reading.counts, now_ns, reading.quality)
