"""The control process's end of the socket, with real sockets and peers that misbehave."""

import random
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge_agent.core.ipc import (
    MAX_DATAGRAM_BYTES,
    Actuate,
    Bye,
    Codec,
    GatewayMessage,
    GatewayReport,
    Hello,
    ReadingsBatch,
    StatusReport,
    Tick,
    Welcome,
)
from edge_agent.core.records import (
    Command,
    Mode,
    Proposal,
    Quality,
    Reading,
    Snapshot,
    TickRecord,
    Verdict,
)
from edge_agent.ports.gateway_relay import (
    BACKLOG_SENDS_PER_TICK,
    BACKLOG_TICKS,
    DATAGRAMS_PER_PEER_PER_POLL,
    FUTURE_TOLERANCE_NS,
    HELLO_WITHIN_NS,
    MAX_PEERS,
    GatewayRelay,
)

WELCOME = Welcome("b00t", "air-handler", {"envelope": "ab"})
NOW_NS = 10**12
TICK = TickRecord(
    tick=1,
    now_ns=NOW_NS,
    readings=(),
    intents=(),
    snapshot=Snapshot((0,) * 13, (0,) * 13, (0,) * 13),
    features=(0.5,) * 10,
    proposal=Proposal((0.1, 0.2, 0.3, 0.4), 12_345),
    verdict=Verdict((0,) * 4),
    mode=Mode.SAFE,
    cause=None,
)
CODEC = Codec()


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[GatewayRelay]:
    port = GatewayRelay(tmp_path / "control.sock", WELCOME, {0, 1, 2})
    yield port
    port.close()


class Peer:
    """A raw socket, so that it can say anything."""

    def __init__(self, path: Path) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(2)
        self.sock.connect(str(path))

    def say(self, message: GatewayMessage) -> None:
        datagram = CODEC.encode(message)
        assert datagram is not None
        self.sock.send(datagram)

    def hear(self) -> object:
        """The next message; None when the relay closed the connection."""
        try:
            datagram = self.sock.recv(MAX_DATAGRAM_BYTES + 1)
        except ConnectionResetError:  # closed with words of ours unread
            return None
        return CODEC.from_control(datagram) if datagram else None


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Callable[[], Peer]]:
    peers: list[Peer] = []

    def make() -> Peer:
        peers.append(Peer(tmp_path / "control.sock"))
        return peers[-1]

    yield make
    for peer in peers:
        peer.sock.close()


@pytest.fixture
def gateway(relay: GatewayRelay, connect: Callable[[], Peer]) -> Peer:
    peer = connect()
    peer.say(Hello("gateway", 1))
    _poll(relay)
    assert relay.gateway_connected
    assert peer.hear() == WELCOME
    return peer


def _poll(relay: GatewayRelay, now_ns: int = NOW_NS) -> list[Reading]:
    """Two polls: the first accepts, the second hears what was said before."""
    return [*relay.poll(now_ns), *relay.poll(now_ns)]


def _good(channel: int, counts: int = 5, stamp_ns: int = NOW_NS) -> Reading:
    return Reading(channel, counts, stamp_ns, Quality.GOOD)


def test_readings_pass_in_order_and_none_is_merged(relay: GatewayRelay, gateway: Peer) -> None:
    batch = (_good(0, 1), _good(1, 2), _good(0, 3), Reading(2, 0, NOW_NS, Quality.INVALID))
    gateway.say(ReadingsBatch(batch))
    assert relay.poll(NOW_NS) == list(batch)
    assert relay.poll(NOW_NS) == []


@pytest.mark.parametrize(
    "reading",
    [
        _good(3),
        _good(-1),
        _good(0, counts=10**9 + 1),
        _good(0, counts=-(10**9) - 1),
        _good(0, stamp_ns=NOW_NS + FUTURE_TOLERANCE_NS + 1),
        _good(0, stamp_ns=-1),
        Reading(0, 0, NOW_NS, Quality.MISSING),
        Reading(0, 0, NOW_NS, 99),
    ],
)
def test_a_reading_outside_its_ranges_is_refused_alone(
    relay: GatewayRelay, gateway: Peer, reading: Reading
) -> None:
    gateway.say(ReadingsBatch((reading, _good(1))))
    assert relay.poll(NOW_NS) == [_good(1)]
    assert relay.status()["readings_refused"] == 1
    assert relay.gateway_connected


@pytest.mark.parametrize("ahead_ns", [-1, 0, 1, FUTURE_TOLERANCE_NS])
def test_a_stamp_a_moment_ahead_is_from_now(
    relay: GatewayRelay, gateway: Peer, ahead_ns: int
) -> None:
    """The gateway stamped it while the control process was between its clock and its poll."""
    gateway.say(ReadingsBatch((_good(0, stamp_ns=NOW_NS + ahead_ns),)))
    assert relay.poll(NOW_NS) == [_good(0, stamp_ns=NOW_NS + min(ahead_ns, 0))]


def test_a_gateway_that_the_actuators_hang_on_hears_every_command(tmp_path: Path) -> None:
    with closing(GatewayRelay(tmp_path / "s", WELCOME, (), drives=True)) as relay:
        relay.apply(NOW_NS, Command((1, 2), armed=True))  # nobody is there: nothing is kept
        with closing(Peer(tmp_path / "s").sock) as sock:
            sock.send(msgspec.msgpack.encode(Hello("gateway", 1)))
            for _ in range(2):  # to accept, and to hear
                relay.poll(NOW_NS)
            relay.apply(NOW_NS + 1, Command((3, 4), armed=True))
            heard = [CODEC.from_control(sock.recv(MAX_DATAGRAM_BYTES)) for _ in range(2)]
    assert heard == [WELCOME, Actuate(NOW_NS + 1, (3, 4))]


def test_any_other_gateway_hears_none(relay: GatewayRelay, gateway: Peer) -> None:
    relay.apply(NOW_NS, Command((1, 2), armed=True))
    relay.publish_status({})
    assert gateway.hear() == StatusReport({})


def test_the_gateway_gets_every_tick_and_status(relay: GatewayRelay, gateway: Peer) -> None:
    relay.publish(TICK)
    relay.publish_status({"mode": "SAFE"})
    heard = gateway.hear()
    assert isinstance(heard, Tick)
    assert msgspec.msgpack.decode(heard.record, type=TickRecord) == TICK
    assert gateway.hear() == StatusReport({"mode": "SAFE"})


def test_a_full_queue_drops_and_counts_and_never_blocks(relay: GatewayRelay, gateway: Peer) -> None:
    started = time.monotonic()
    sent = 5000
    for _ in range(sent):
        relay.publish(TICK)
    assert time.monotonic() - started < 1.0
    dropped = relay.status()["sends_dropped"]
    assert isinstance(dropped, int)
    assert 0 < dropped < sent
    assert relay.gateway_connected
    for _ in range(sent - dropped):
        assert isinstance(gateway.hear(), Tick)
    relay.publish(TICK)
    assert isinstance(gateway.hear(), Tick), "room again"


def _publish(relay: GatewayRelay, numbers: range) -> None:
    for number in numbers:
        relay.publish(msgspec.structs.replace(TICK, tick=number))


def _heard_ticks(peer: Peer, count: int) -> list[int]:
    heard = [peer.hear() for _ in range(count)]
    return [msgspec.msgpack.decode(h.record)[0] for h in heard if isinstance(h, Tick)]


def test_ticks_from_before_the_gateway_are_kept_and_come_first_and_in_order(
    relay: GatewayRelay, connect: Callable[[], Peer]
) -> None:
    _publish(relay, range(100))
    assert relay.status()["backlog"] == 100
    gateway = connect()
    gateway.say(Hello("gateway", 1))
    _poll(relay)
    assert gateway.hear() == WELCOME
    _publish(relay, range(100, 101))
    assert _heard_ticks(gateway, BACKLOG_SENDS_PER_TICK) == list(range(BACKLOG_SENDS_PER_TICK))
    _publish(relay, range(101, 105))
    left = range(BACKLOG_SENDS_PER_TICK, 105)
    assert _heard_ticks(gateway, len(left)) == list(left)
    assert relay.status()["backlog"] == 0


def test_without_a_gateway_the_oldest_tick_goes_and_is_counted(relay: GatewayRelay) -> None:
    _publish(relay, range(BACKLOG_TICKS + 3))
    assert relay.status()["backlog"] == BACKLOG_TICKS
    assert relay.status()["backlog_dropped"] == 3


def test_an_oversize_status_is_counted_and_the_gateway_stays(
    relay: GatewayRelay, gateway: Peer
) -> None:
    relay.publish_status({"text": "x" * MAX_DATAGRAM_BYTES})
    assert relay.status()["sends_oversize"] == 1
    relay.publish(TICK)
    assert isinstance(gateway.hear(), Tick)


def test_one_poll_drains_a_bounded_number_and_the_next_goes_on(
    relay: GatewayRelay, gateway: Peer
) -> None:
    for n in range(DATAGRAMS_PER_PEER_PER_POLL + 1):
        gateway.say(ReadingsBatch((_good(0, n),)))
    assert len(relay.poll(NOW_NS)) == DATAGRAMS_PER_PEER_PER_POLL
    assert len(relay.poll(NOW_NS)) == 1


@pytest.mark.parametrize(
    "datagram",
    [
        b"\xc1",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x91" * 10_000,
        b"\x00" * (MAX_DATAGRAM_BYTES + 1),
        CODEC.encode(Hello("gateway", 2)),  # a second Hello
        CODEC.encode(Bye("impostor")),
    ],
)
def test_a_gateway_that_breaks_the_protocol_is_dropped_and_counted(
    relay: GatewayRelay, gateway: Peer, datagram: bytes
) -> None:
    gateway.sock.send(datagram)
    assert relay.poll(NOW_NS) == []
    assert not relay.gateway_connected
    assert relay.status()["peers_dropped"] == 1
    assert gateway.hear() is None
    relay.publish(TICK)  # nobody there: nothing happens


@pytest.mark.parametrize(
    "message",
    [Hello("operator", 1), ReadingsBatch((_good(0),)), GatewayReport({"a": 1})],
)
def test_a_peer_that_is_not_the_gateway_cannot_act_as_one(
    relay: GatewayRelay, connect: Callable[[], Peer], message: GatewayMessage
) -> None:
    stranger = connect()
    stranger.say(message)
    assert _poll(relay) == []
    assert stranger.hear() is None
    assert relay.status()["peers_dropped"] == 1


def test_a_peer_that_says_nothing_is_dropped_in_time(
    relay: GatewayRelay, connect: Callable[[], Peer]
) -> None:
    silent = connect()
    _poll(relay)
    relay.poll(NOW_NS + HELLO_WITHIN_NS)
    assert relay.status()["peers"] == 1
    relay.poll(NOW_NS + HELLO_WITHIN_NS + 1)
    assert relay.status()["peers"] == 0
    assert silent.hear() is None


def test_peers_beyond_the_limit_are_refused_and_the_gateway_is_still_served(
    relay: GatewayRelay, gateway: Peer, connect: Callable[[], Peer]
) -> None:
    crowd = [connect() for _ in range(MAX_PEERS)]
    _poll(relay)
    assert relay.status()["peers"] == MAX_PEERS
    assert relay.status()["peers_refused"] == 1
    assert crowd[-1].hear() is None
    relay.publish(TICK)
    assert isinstance(gateway.hear(), Tick)


def test_a_second_gateway_is_told_to_go(
    relay: GatewayRelay, gateway: Peer, connect: Callable[[], Peer]
) -> None:
    second = connect()
    second.say(Hello("gateway", 2))
    _poll(relay)
    assert isinstance(second.hear(), Bye)
    assert second.hear() is None
    relay.publish(TICK)
    assert isinstance(gateway.hear(), Tick)


def test_a_status_peer_gets_one_report_with_the_gateways_and_its_age(
    relay: GatewayRelay, gateway: Peer, connect: Callable[[], Peer]
) -> None:
    gateway.say(GatewayReport({"mqtt.state": "connected"}))
    relay.poll(NOW_NS)
    relay.publish_status({"mode": "ACTIVE"})
    asking = connect()
    asking.say(Hello("status", 3))
    _poll(relay, NOW_NS + 7)
    answer = asking.hear()
    assert isinstance(answer, StatusReport)
    assert answer.items["control"] == {"mode": "ACTIVE"}
    assert answer.items["gateway"] == {
        "connected": True,
        "report_age_ns": 7,
        "report": {"mqtt.state": "connected"},
    }
    assert answer.items["relay"]["gateway_connects"] == 1
    assert asking.hear() is None
    assert relay.status()["peers"] == 1


def test_a_status_peer_gets_an_answer_before_anything_happened(
    relay: GatewayRelay, connect: Callable[[], Peer]
) -> None:
    asking = connect()
    asking.say(Hello("status", 3))
    _poll(relay)
    answer = asking.hear()
    assert isinstance(answer, StatusReport)
    assert answer.items["gateway"] == {"connected": False}


def test_a_gateway_that_vanishes_is_noticed_by_poll_and_by_publish(
    relay: GatewayRelay, gateway: Peer
) -> None:
    gateway.sock.close()
    relay.publish(TICK)
    assert not relay.gateway_connected
    assert relay.poll(NOW_NS) == []


def test_words_said_before_vanishing_are_heard(relay: GatewayRelay, gateway: Peer) -> None:
    gateway.say(ReadingsBatch((_good(0),)))
    gateway.sock.close()
    assert relay.poll(NOW_NS) == [_good(0)]
    assert not relay.gateway_connected


def test_the_descriptor_is_readable_exactly_when_there_is_work(
    relay: GatewayRelay, gateway: Peer
) -> None:
    assert select.select([relay.fileno()], [], [], 0)[0] == []
    gateway.say(ReadingsBatch((_good(0),)))
    assert select.select([relay.fileno()], [], [], 1)[0] == [relay.fileno()]


def test_noise_from_many_peers_never_raises(tmp_path: Path, relay: GatewayRelay) -> None:
    rng = random.Random(3)
    for _ in range(200):
        peer: Any = Peer(tmp_path / "control.sock")
        peer.sock.send(rng.randbytes(rng.randrange(1, 300)))
        _poll(relay)
        peer.sock.close()
        _poll(relay)
    assert relay.status()["peers"] == 0
    assert relay.status()["peers_dropped"] == 200
