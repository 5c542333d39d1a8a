"""One connection to the plane's broker: what is heard goes into a queue, what is sent expires.

Owns: paho, its thread, and the session at the broker. Must not: know what a message means.
"""

import queue
import secrets
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge_agent.core.clock import NS_PER_S, Clock
from edge_agent.core.errors import TransientError

_KEEPALIVE_S: Final = 15
_SESSION_EXPIRY_S: Final = 120
_NAMED_EXPIRY_S: Final = 86_400
# Longer than any ttl: for a minute a device that comes back still refuses a command, which tells
# the person; after that nobody waits, and the broker need not keep it.
COMMAND_EXPIRY_S: Final = 60


class Heard(NamedTuple):
    """One message, and when it came, on which connection."""

    topic: str
    payload: bytes
    retained: bool
    stamp_ns: int
    connection: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerOptions:
    """Where the plane is. With a `name` of one's own the broker keeps for a day what comes while
    this client is away; two clients of one name end each other's connection.

    With protocol 3.1.1 and no name, what comes while the connection is lost is not heard.
    """

    host: str
    port: int
    username: str = ""
    password: str = field(default="", repr=False)
    tls: ssl.SSLContext | None = None
    protocol: Literal["5", "3.1.1"] = "5"
    name: str = ""


class Connection:
    """Connected from construction on. `next` and `publish` are for one thread."""

    def __init__(
        self, options: BrokerOptions, topics: Sequence[tuple[str, int]], clock: Clock
    ) -> None:
        """`topics` with their QoS. TransientError when the broker does not answer."""
        self._options = options
        self._five = options.protocol == "5"
        # Nothing is kept for a session of 3.1.1 that begins clean, so QoS 1 would gain nothing; and
        # a NATS cluster elects a leader for each such subscription: 0.5 s, or 4 s after a loss.
        kept = self._five or bool(options.name)
        self._topics = [(topic, qos if kept else 0) for topic, qos in topics]
        self._clock = clock
        self._inbox: queue.SimpleQueue[Heard] = queue.SimpleQueue()
        self._connections = 0
        self._client = self._connect()

    def next(self, deadline_ns: int) -> Heard | None:
        """The next message; None when none came in time."""
        left_ns = deadline_ns - self._clock.now_ns()
        try:
            return self._inbox.get(timeout=max(left_ns, 0) / NS_PER_S)
        except queue.Empty:
            return None

    def empty(self) -> bool:
        """Whether everything that has come was taken."""
        return self._inbox.empty()

    def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, expires: bool = False
    ) -> None:
        """Send, QoS 1. `expires`: nobody wants to know of it after a minute."""
        properties = None
        if expires and self._five:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call] # paho's own
            properties.MessageExpiryInterval = COMMAND_EXPIRY_S
        self._client.publish(topic, payload, qos=1, retain=retain, properties=properties)

    def close(self) -> None:
        """Leave the broker."""
        self._client.disconnect()
        self._client.loop_stop()

    def _connect(self) -> paho.Client:
        options = self._options
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            options.name or f"ctl-{secrets.token_hex(8)}",
            protocol=MQTTProtocolVersion.MQTTv5 if self._five else MQTTProtocolVersion.MQTTv311,
            clean_session=None if self._five else not options.name,
        )
        client.suppress_exceptions = True
        if options.username:
            client.username_pw_set(options.username, options.password or None)
        if options.tls is not None:
            client.tls_set_context(options.tls)
        client.on_socket_open = _no_delay
        client.reconnect_delay_set(1, 4)  # somebody waits; paho's own goes up to two minutes
        client.on_connect = self._on_connect
        client.on_message = lambda _c, _u, m: self._inbox.put(
            Heard(m.topic, bytes(m.payload), m.retain, self._clock.now_ns(), self._connections)
        )
        try:
            client.connect(
                options.host,
                options.port,
                _KEEPALIVE_S,
                # A broker that ends forgets a session that began clean, even a durable one.
                clean_start=False if self._five else paho.MQTT_CLEAN_START_FIRST_ONLY,
                properties=self._kept() if self._five else None,
            )
        except OSError as error:
            raise TransientError(
                f"no broker: {error}", where=f"{options.host}:{options.port}", fix="start it"
            ) from error
        client.loop_start()
        return client

    def _on_connect(self, client: paho.Client, *_: object) -> None:
        self._connections += 1  # on the thread that also notes each message
        client.subscribe(self._topics)

    def _kept(self) -> Properties:
        """The broker keeps what comes for us while a lost connection is made again."""
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho's own
        named = bool(self._options.name)
        properties.SessionExpiryInterval = _NAMED_EXPIRY_S if named else _SESSION_EXPIRY_S
        return properties


def _no_delay(_client: paho.Client, _userdata: object, sock: Any) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
