"""One MQTT connection, from the attempt to its end, on paho's own network thread.

Owns: one paho client, used for one connection and thrown away. Must not: decide anything.
Callbacks run on the network thread: they note what happened in bounded deques, wake the main
loop and return; they never call back into the application and never raise. A fresh client per
connection is what guarantees that nothing queued for one connection is sent on the next.
"""

import contextlib
import socket
import ssl
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.core.clock import Clock
from edge_agent.gateway.decode import MAX_PAYLOAD_BYTES

MAX_MESSAGES = 4096
MAX_SIGNALS = 1024
MAX_IN_FLIGHT = 20
CONNECT_TIMEOUT_S = 5.0
BEGIN_WITHIN_S = 1.0
SESSION_EXPIRY_S = 3600


def _wake_up_pair() -> tuple[socket.socket, socket.socket]:
    """How paho wakes its thread up. Its own way is a TCP connection to itself, for which it listens
    for a moment: any program of the machine could come first."""
    pair = socket.socketpair()
    for end in pair:
        end.setblocking(False)
    return pair


paho._socketpair_compat = _wake_up_pair  # noqa: SLF001 - there is no other way in


class _Client(paho.Client):
    """Connects without asking for a local address, which is a bind: the gateway's unit forbids
    every bind but one, where systemd can (`SocketBindDeny`)."""

    def _create_socket_connection(self) -> socket.socket:
        return socket.create_connection((self._host, self._port), timeout=self._connect_timeout)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkOptions:
    """Where the broker is and how to be there. `password` empty: none. With `others`, each
    attempt goes to the next of all."""

    host: str
    port: int
    client_id: str
    protocol: str
    keepalive_s: int
    username: str = ""
    password: str = ""
    topics: tuple[str, ...] = ()
    status_topic: str = ""
    will: bytes = b""
    # The broker keeps the session, and each message until `ack`: for what may not get lost.
    durable: bool = False
    tls: ssl.SSLContext | None = None
    others: tuple[tuple[str, int], ...] = ()  # host, port


@dataclass(frozen=True, slots=True)
class ReplyTo:
    """Where the sender wants the answer, and what is to be on it: properties of MQTT 5."""

    topic: str
    correlation: bytes = b""


@dataclass(frozen=True, slots=True)
class Received:
    """One message; `payload` is None when it was larger than any decoder accepts.

    `connection` and `mid` say where and how to acknowledge it on a durable link. `reply_to` None:
    the sender did not say, or cannot by MQTT 3.1.1.
    """

    topic: str
    payload: bytes | None
    retained: bool
    stamp_ns: int
    connection: int = 0
    mid: int = 0
    reply_to: ReplyTo | None = None


class SignalKind(Enum):
    """What else can happen on a connection."""

    CONNECTED = auto()
    REFUSED = auto()  # the broker answered, with a no
    FAILED = auto()  # no connection was made
    LOST = auto()
    ACKED = auto()
    SUBSCRIBED = auto()
    SUBSCRIBE_REFUSED = auto()


@dataclass(frozen=True, slots=True)
class Signal:
    """`number` is a message id, or a reason code; `text` says it in words."""

    kind: SignalKind
    number: int = 0
    text: str = ""


class Session:
    """One attempt and, if it succeeds, one connection."""

    def __init__(
        self, options: LinkOptions, clock: Clock, wake: socket.socket, number: int
    ) -> None:
        """`number` tells this connection from the others of one link."""
        self._options = options
        self._number = number
        self._clock = clock
        self._wake = wake
        self._thread: threading.Thread | None = None
        self._began = threading.Event()
        self._ended = False
        self.messages: deque[Received] = deque(maxlen=MAX_MESSAGES)
        self.signals: deque[Signal] = deque(maxlen=MAX_SIGNALS)
        self.messages_dropped = 0
        self.started_ns = clock.now_ns()
        self.window = MAX_IN_FLIGHT
        self._asked: dict[int, str] = {}  # message id -> topic
        self._client = self._new_client()
        self._connect_async(options)
        self._client.loop_start()
        self._began.wait(BEGIN_WITHIN_S)

    def _new_client(self) -> paho.Client:
        five = self._options.protocol == "5"
        client = _Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._options.client_id,
            protocol=MQTTProtocolVersion.MQTTv5 if five else MQTTProtocolVersion.MQTTv311,
            clean_session=None if five else not self._options.durable,
            reconnect_on_failure=False,
            manual_ack=self._options.durable,
        )
        client.suppress_exceptions = True
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.max_inflight_messages_set(MAX_IN_FLIGHT)
        if self._options.username:
            client.username_pw_set(self._options.username, self._options.password or None)
        if self._options.tls is not None:
            client.tls_set_context(self._options.tls)
        if self._options.status_topic:
            client.will_set(self._options.status_topic, self._options.will, qos=1, retain=True)
        client.on_pre_connect = self._on_pre_connect
        client.on_socket_open = self._on_socket_open
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        return client

    def _connect_async(self, options: LinkOptions) -> None:
        durable = options.durable and options.protocol == "5"
        properties = None
        if durable:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho's own
            properties.SessionExpiryInterval = SESSION_EXPIRY_S
        self._client.connect_async(
            options.host,
            options.port,
            options.keepalive_s,
            clean_start=False if durable else paho.MQTT_CLEAN_START_FIRST_ONLY,
            properties=properties,
        )

    def thread_died(self) -> bool:
        """Whether the network thread began and is no more."""
        return self._thread is not None and not self._thread.is_alive()

    def subscribe(self, topics: Sequence[str]) -> None:
        """Ask for these topics, QoS 1; the answers arrive as signals."""
        for topic in topics:
            _, mid = self._client.subscribe(topic, qos=1)
            if mid is not None:
                self._asked[mid] = topic

    def asked_with(self, mid: int) -> str:
        """The topic that was asked for with this message id; empty: none was."""
        return self._asked.get(mid, "")

    def publish(
        self, topic: str, payload: bytes, qos: int, *, retain: bool, correlation: bytes = b""
    ) -> int | None:
        """Hand one message to the network thread; its message id, or None if refused."""
        properties = None
        if correlation:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call] # paho's own
            properties.CorrelationData = correlation
        info = self._client.publish(topic, payload, qos=qos, retain=retain, properties=properties)
        return info.mid if info.rc == paho.MQTT_ERR_SUCCESS else None

    def ack(self, mid: int) -> None:
        """The message is safe here; the broker may forget it."""
        self._client.ack(mid, 1)

    def end(self) -> None:
        """Say goodbye if there is somebody to say it to; the network thread then ends."""
        self._ended = True
        self._client.drop_out_messages()
        self._client.disconnect()

    def finished(self, wait_s: float = 0.0) -> bool:
        """Whether the network thread has ended, after waiting up to `wait_s` for it.

        If so, the ties between client and callbacks are cut, which closes paho's sockets now
        and not at some later garbage collection.
        """
        if self._thread is not None:
            self._thread.join(wait_s)
            if self._thread.is_alive():
                return False
        client = self._client
        client.on_pre_connect = client.on_socket_open = client.on_connect_fail = None
        client.on_connect = client.on_disconnect = client.on_message = None
        client.on_publish = client.on_subscribe = None
        return True

    # Network thread from here on.

    def _note(self, signal: Signal) -> None:
        self.signals.append(signal)
        self._wake_main()

    def _wake_main(self) -> None:
        # An error means full (the main loop has not yet read the last one) or closed.
        with contextlib.suppress(OSError):
            self._wake.send(b"\0")

    def _on_pre_connect(self, _client: paho.Client, _userdata: object) -> None:
        self._thread = threading.current_thread()
        self._began.set()

    def _on_socket_open(self, _client: paho.Client, _userdata: object, sock: Any) -> None:
        # Without this, Nagle and delayed acks make 40 ms of every QoS 1 exchange.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._ended:  # given up while a name was looked up: may not take our place now
            sock.shutdown(socket.SHUT_RDWR)

    def _on_connect(
        self,
        _client: paho.Client,
        _userdata: object,
        _flags: paho.ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        # A broker that takes less at a time says so; paho does not heed it.
        asked: int = getattr(properties, "ReceiveMaximum", MAX_IN_FLIGHT)
        self.window = min(MAX_IN_FLIGHT, asked)
        kind = SignalKind.REFUSED if reason.is_failure else SignalKind.CONNECTED
        self._note(Signal(kind, reason.value, str(reason)))

    def _on_connect_fail(self, client: paho.Client, _userdata: object) -> None:
        # Ends the network thread, which would otherwise retry on a schedule of its own.
        client.disconnect()
        self._note(Signal(SignalKind.FAILED, 0, "no answer"))

    def _on_disconnect(
        self,
        client: paho.Client,
        _userdata: object,
        _flags: paho.DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        client.drop_out_messages()
        self._note(Signal(SignalKind.LOST, reason.value, str(reason)))

    def _on_message(
        self, _client: paho.Client, _userdata: object, message: paho.MQTTMessage
    ) -> None:
        stamp_ns = self._clock.now_ns()
        if len(self.messages) == MAX_MESSAGES:
            self.messages_dropped += 1  # the oldest goes
        payload = bytes(message.payload) if len(message.payload) <= MAX_PAYLOAD_BYTES else None
        try:
            topic = message.topic
        except UnicodeDecodeError:  # a broker that does not check; no such topic is ours
            return
        wish = _reply_to(message.properties)
        self.messages.append(
            Received(topic, payload, message.retain, stamp_ns, self._number, message.mid, wish)
        )
        self._wake_main()

    def _on_publish(
        self,
        _client: paho.Client,
        _userdata: object,
        mid: int,
        reason: ReasonCode,
        _properties: Properties,
    ) -> None:
        # Acknowledged and thrown away: by MQTT 5 the broker says so.
        self._note(Signal(SignalKind.ACKED, mid, str(reason) if reason.is_failure else ""))

    def _on_subscribe(
        self,
        _client: paho.Client,
        _userdata: object,
        mid: int,
        reasons: list[ReasonCode],
        _properties: Properties,
    ) -> None:
        for reason in reasons:
            kind = SignalKind.SUBSCRIBE_REFUSED if reason.is_failure else SignalKind.SUBSCRIBED
            self._note(Signal(kind, mid, str(reason)))


def _reply_to(properties: Properties | None) -> ReplyTo | None:
    topic = getattr(properties, "ResponseTopic", None)
    if topic is None:
        return None
    return ReplyTo(topic, getattr(properties, "CorrelationData", b""))
