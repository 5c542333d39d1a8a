"""The MQTT link when the broker, the network thread or an identity misbehaves."""

import errno
import json
import random
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest

from bench.mosquitto import Mosquitto, free_port
from edge_agent.core.clock import NS_PER_S, ManualClock, SystemClock
from edge_agent.gateway import client as client_module
from edge_agent.gateway.client import (
    ASK_AGAIN_AFTER_NS,
    CONNECT_DEADLINE_NS,
    GRANTED_WITHIN_NS,
    MqttLink,
)
from edge_agent.gateway.session import LinkOptions
from tests.system.hostile_broker import (
    CONNACK_5,
    CONNACK_311,
    TAKEN_OVER_5,
    Answer,
    HostileBroker,
    Make,
)
from tests.system.mqtt_peer import MqttPeer, wait_until

STATUS = "edge/dev/status"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path) as running:
        yield running


@pytest.fixture
def hostile() -> Iterator[Make]:
    brokers: list[HostileBroker] = []

    def make(greeting: bytes, answer: Answer | None = None) -> HostileBroker:
        brokers.append(HostileBroker(greeting, answer))
        return brokers[-1]

    yield make
    for each in brokers:
        each.close()


def _options(port: int, **changes: object) -> LinkOptions:
    values: dict[str, object] = {
        "host": "127.0.0.1",
        "port": port,
        "client_id": "edge-dev",
        "protocol": "3.1.1",
        "keepalive_s": 15,
        "topics": ("plant/a",),
        "status_topic": STATUS,
        "will": b'{"on":false}',
    }
    return LinkOptions(**(values | changes))  # type: ignore[arg-type]


@pytest.fixture
def start() -> Iterator[Callable[[LinkOptions], MqttLink]]:
    links: list[MqttLink] = []

    def make(options: LinkOptions) -> MqttLink:
        links.append(MqttLink(options, SystemClock(), random.Random(1)))
        links[-1].set_status(b'{"on":true}')
        return links[-1]

    yield make
    for link in links:
        link.close(b'{"on":false}')


Start = Callable[[LinkOptions], MqttLink]


def _until(link: MqttLink, condition: Callable[[], object], what: str) -> None:
    def serviced() -> object:
        select.select([link.fileno()], [], [], 0.01)
        link.service(time.monotonic_ns())
        return condition()

    wait_until(serviced, what)


def _count(link: MqttLink, name: str) -> int:
    count = link.counters()[f"mqtt.{name}"]
    assert isinstance(count, int)
    return count


def _network_threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith("paho-mqtt-client-edge-dev")]


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
def test_both_protocol_versions_connect_subscribe_and_publish(
    broker: Mosquitto, start: Start, protocol: str
) -> None:
    with MqttPeer(broker.port, "out") as plant:
        link = start(_options(broker.port, protocol=protocol))
        _until(link, lambda: _count(link, "subscriptions") == 1, "subscribed")
        mid = link.publish("out", b"x", qos=1)
        plant.publish("plant/a", "1")
        _until(link, lambda: mid in link.take_acks(), "acknowledged")
        _until(link, link.take_messages, "received")
        wait_until(lambda: plant.payloads("out") == [b"x"], "delivered")


def test_a_message_without_a_connection_is_refused_and_not_kept(start: Start) -> None:
    link = start(_options(free_port()))
    assert link.publish("out", b"x") is None
    assert _count(link, "publish_refused") == 1


def test_the_socket_does_not_wait_to_fill_packets(broker: Mosquitto, start: Start) -> None:
    link = start(_options(broker.port))
    _until(link, lambda: link.connected, "connected")
    assert link._session is not None
    sock = link._session._client.socket()
    assert isinstance(sock, socket.socket)
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


def test_a_connection_needs_no_port_of_its_own(
    broker: Mosquitto, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway's unit may not listen, not even on loopback."""

    def refused(_socket: socket.socket, _address: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(socket.socket, "bind", refused, raising=False)
    link = start(_options(broker.port))
    _until(link, lambda: link.connected, "connected")
    assert _count(link, "threads_died") == 0


def test_an_identity_taken_over_is_not_fought_for(hostile: Make, start: Start) -> None:
    fake = hostile(CONNACK_5 + TAKEN_OVER_5)
    link = start(_options(fake.port, protocol="5"))
    _until(link, lambda: link.state == "taken_over", "taken over")
    for _ in range(20):
        link.service(time.monotonic_ns() + 3600 * NS_PER_S)
    assert len(fake.connections) == 1
    assert "taken over" in link.last_reason.lower()


def test_a_refused_login_is_reported_and_tried_again_later(tmp_path: Path, start: Start) -> None:
    config = "listener {port} 127.0.0.1\nallow_anonymous false\nlog_type none\n"
    with Mosquitto(tmp_path, config) as strict:
        link = start(_options(strict.port, username="u", password="p"))
        _until(link, lambda: _count(link, "connect_failures") >= 2, "two refusals")
        assert "not authorized" in link.last_reason.lower()
        assert _count(link, "connects") == 0


def test_a_broker_that_accepts_and_says_nothing_is_given_up(hostile: Make, start: Start) -> None:
    fake = hostile(b"")
    link = start(_options(fake.port))
    _until(link, lambda: fake.connections, "a connection")
    link.service(time.monotonic_ns() + CONNECT_DEADLINE_NS + NS_PER_S)
    assert (link.state, link.last_reason) == ("waiting", "no answer in time")


def test_a_connection_without_a_sign_of_life_is_given_up(hostile: Make, start: Start) -> None:
    fake = hostile(CONNACK_311)
    link = start(_options(fake.port, topics=()))
    _until(link, lambda: link.connected, "connected")
    link.service(time.monotonic_ns() + 46 * NS_PER_S)
    assert (link.state, link.last_reason) == ("waiting", "broker silent")
    assert _count(link, "links_silent") == 1
    link.service(time.monotonic_ns() + 60 * NS_PER_S)
    wait_until(lambda: len(fake.connections) == 2, "a new attempt")


def test_a_refused_subscription_is_asked_for_again(hostile: Make, start: Start) -> None:
    mids: list[bytes] = []

    def answer(heard: bytes) -> bytes:
        """SUBACK: the first time a refusal, then QoS 1."""
        place = heard.find(b"\x00\x07plant/a")
        if place < 0:
            return b""
        mids.append(heard[place - 2 : place])
        return b"\x90\x03" + mids[-1] + (b"\x80" if len(mids) == 1 else b"\x01")

    link = start(_options(hostile(CONNACK_311, answer).port))
    _until(link, lambda: _count(link, "subscriptions_refused") == 1, "refused")
    link.service(time.monotonic_ns())
    assert (len(mids), link.listening) == (1, False)  # not at once
    assert link.last_reason.startswith("plant/a: ")
    link.service(time.monotonic_ns() + ASK_AGAIN_AFTER_NS)
    _until(link, lambda: link.listening, "granted")
    assert (_count(link, "subscriptions"), link.last_reason) == (1, "")


def test_a_connection_whose_subscriptions_nobody_answers_is_given_up(
    hostile: Make, start: Start
) -> None:
    """All else is answered, so the broker is not silent; but what it would be told, it is not."""

    def answer(heard: bytes) -> bytes:
        """PUBACK of the status, which goes out with the topic in front of its message id."""
        place = heard.find(STATUS.encode())
        mid = heard[place + len(STATUS) :][:2]
        return b"" if place < 0 else b"\x40\x02" + mid

    fake = hostile(CONNACK_311, answer)
    link = start(_options(fake.port))
    _until(link, link.take_acks, "the status is acknowledged")
    link.service(link._asked_ns + GRANTED_WITHIN_NS)
    assert (link.connected, link.listening) == (True, False)
    link.service(link._asked_ns + GRANTED_WITHIN_NS + 1)
    assert (link.state, link.last_reason) == ("waiting", "subscriptions not granted")


def test_the_status_is_the_heartbeat_whose_answer_proves_life(
    broker: Mosquitto, start: Start
) -> None:
    with MqttPeer(broker.port, STATUS) as operator:
        link = start(_options(broker.port, keepalive_s=1))
        _until(link, lambda: len(operator.payloads(STATUS)) >= 3, "three heartbeats")
        assert set(operator.payloads(STATUS)) == {b'{"on":true}'}
        assert _count(link, "disconnects") == 0


def test_an_exception_in_a_callback_does_not_kill_the_network_thread(
    broker: Mosquitto, start: Start
) -> None:
    with MqttPeer(broker.port) as plant:
        link = start(_options(broker.port))
        _until(link, lambda: _count(link, "subscriptions") == 1, "subscribed")
        assert link._session is not None
        sound = link._session._client.on_message

        def broken(*_: object) -> None:
            raise ValueError("a bug of ours")

        link._session._client.on_message = broken
        plant.publish("plant/a", "1")
        mid = link.publish("out", b"x", qos=1)
        _until(link, lambda: mid in link.take_acks(), "the thread went on")
        link._session._client.on_message = sound
        plant.publish("plant/a", "2")
        _until(link, link.take_messages, "and receives again")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_network_thread_that_died_is_noticed_and_replaced(
    broker: Mosquitto, start: Start
) -> None:
    with MqttPeer(broker.port) as plant:
        link = start(_options(broker.port))
        _until(link, lambda: _count(link, "subscriptions") == 1, "subscribed")
        assert link._session is not None
        paho_client: paho.Client = link._session._client
        paho_client.suppress_exceptions = False

        def broken(*_: object) -> None:
            raise ValueError("a bug of paho's")

        paho_client.on_message = broken
        plant.publish("plant/a", "1")
        _until(link, lambda: _count(link, "threads_died") == 1, "death noticed")
        del paho_client
        _until(link, lambda: _count(link, "subscriptions") == 2, "a new connection")
        plant.publish("plant/a", "2")
        _until(link, link.take_messages, "receiving again")


def test_connections_that_ended_leave_no_thread_behind(hostile: Make, start: Start) -> None:
    fake = hostile(b"\x20\x02\x00\x03")  # server unavailable
    link = start(_options(fake.port))
    _until(link, lambda: _count(link, "connect_failures") >= 3, "three refusals")
    wait_until(lambda: len(_network_threads()) <= 1, "the threads ended")


def test_close_leaves_the_last_word_and_no_thread(broker: Mosquitto) -> None:
    with MqttPeer(broker.port, STATUS) as operator:
        link = MqttLink(_options(broker.port), SystemClock(), random.Random(1))
        link.set_status(b'{"on":true}')
        _until(link, lambda: link.connected, "connected")
        link.close(json.dumps({"on": False, "reason": "stopped"}).encode())
        wait_until(lambda: b"stopped" in b"".join(operator.payloads(STATUS)), "last word")
        assert _network_threads() == []


def test_a_stable_connection_resets_the_backoff(
    broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "STABLE_AFTER_NS", 0)
    clock = ManualClock()
    link = MqttLink(_options(broker.port), clock, random.Random(1))
    link._backoff._cap_s = 60.0
    deadline = time.monotonic() + 10
    while not link.connected:
        assert time.monotonic() < deadline
        link.service(clock.now_ns())
        time.sleep(0.01)
    broker.stop()
    while link.connected:
        assert time.monotonic() < deadline
        link.service(clock.now_ns())
        time.sleep(0.01)
    assert link._backoff._cap_s == 2.0, "one delay of at most 1 s was drawn"
    link.close(b"")


def test_the_next_broker_of_a_list_is_tried_when_one_does_not_answer(
    broker: Mosquitto, tmp_path: Path
) -> None:
    with Mosquitto(tmp_path) as other:
        options = _options(
            free_port(), others=((broker.host, broker.port), (other.host, other.port))
        )
        link = MqttLink(options, SystemClock(), random.Random(1))
        try:
            _until(link, lambda: link.connected, "connected to the second")
            assert link.counters()["mqtt.broker"] == f"127.0.0.1:{broker.port}"
            broker.stop()
            _until(
                link,
                lambda: link.connected and link.counters()["mqtt.broker"].endswith(str(other.port)),  # type: ignore[union-attr]
                "connected to the third",
            )
        finally:
            link.close(b"")
