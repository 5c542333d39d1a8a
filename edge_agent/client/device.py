"""A synchronous client for one device: a command in, its last answer out.

Owns: one MQTT connection, the counter of its key, and the waiting for answers. Must not: retry
a command by itself: one that got no answer may have been followed, and only `query` can tell.
"""

import queue
import secrets
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Literal, NamedTuple, Self

import msgspec
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge_agent.authority.body import MAX_TTL_MS
from edge_agent.authority.seal import Algorithm, seal
from edge_agent.authority.topics import ALL, ALL_STOP, topics_of
from edge_agent.client.outcome import Outcome
from edge_agent.core.clock import NS_PER_MS, NS_PER_S, SystemClock, utc_now_ns
from edge_agent.core.errors import TransientError

_NS_PER_US: Final = 1_000
_KEEPALIVE_S: Final = 15
_SESSION_EXPIRY_S: Final = 120
_GRACE_S: Final = 1.0
_ANSWERS_KEPT: Final = 4_096


class NoAnswerError(TransientError):
    """No last answer came in time: what became of the command is not known."""


class _Heard(NamedTuple):
    """One message, and when it came."""

    topic: str
    payload: bytes
    retained: bool
    stamp_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    """Where the plane is, which device, and the key. `by` names the person in the recording.

    With protocol 3.1.1, an answer that comes while the connection is lost is not heard; `query`
    tells then.
    """

    host: str
    port: int
    device: str
    kid: str
    secret: bytes = field(repr=False)
    algorithm: Algorithm = "hmac"
    by: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    tls: ssl.SSLContext | None = None
    protocol: Literal["5", "3.1.1"] = "5"


class DeviceClient:
    """Connected from construction on; use as a context manager. Not for two threads."""

    def __init__(self, options: ClientOptions) -> None:
        """TransientError when the broker does not answer."""
        self._options = options
        self._topics = topics_of(options.device)
        self._clock = SystemClock()
        self._inbox: queue.SimpleQueue[_Heard] = queue.SimpleQueue()
        self._session_ns: int | None = None  # when a new session was heard of, if live
        self._seen: dict[tuple[str, int], Outcome] = {}
        self._counter = 0
        self.status: Mapping[str, Any] = {}
        self._client = self._connect()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave the broker."""
        self._client.disconnect()
        self._client.loop_stop()

    def wait_online(self, within_s: float = 5.0) -> Mapping[str, Any]:
        """The device's status, as soon as it takes commands; NoAnswerError when it does not."""
        self._until(self._inbox.empty, within_s)  # a status may have come since
        self._until(lambda: bool(self.status.get("on")), within_s)
        if not self.status.get("on"):
            why = str(self.status.get("why", "it has never been seen"))
            raise NoAnswerError(f"{self._options.device} takes no commands: {why}")
        return self.status

    def command(
        self,
        op: str,
        args: Mapping[str, Any] | None = None,
        *,
        ttl_s: float = 2.0,
        within_s: float = 5.0,
        dry: bool = False,
    ) -> Outcome:
        """Send one command and wait for its last answer; NoAnswerError without one.

        A command for a session that has just ended is sent once more, for the present one: it
        was refused, so it can not have been followed.
        """
        session = self.wait_online()["sess"]
        command_id = self.send(op, args, ttl_s=ttl_s, dry=dry)
        outcome = self.wait(command_id, ttl_s + within_s + _GRACE_S)
        if outcome.reason == "stale_session" and self.wait_online()["sess"] != session:
            command_id = self.send(op, args, ttl_s=ttl_s, dry=dry)
            outcome = self.wait(command_id, ttl_s + within_s + _GRACE_S)
        return outcome

    def send(
        self,
        op: str,
        args: Mapping[str, Any] | None = None,
        *,
        ttl_s: float = 2.0,
        dry: bool = False,
    ) -> str:
        """Send one command; its id."""
        body = self.compose(op, args, ttl_s=ttl_s, dry=dry)
        self.publish(msgspec.msgpack.encode(body))
        command_id: str = body["id"]
        return command_id

    def stop_all(self, *, within_s: float = 5.0) -> Outcome:
        """Stop every device that has this key; the answer of this client's own."""
        self._counter = max(self._counter + 1, utc_now_ns() // _NS_PER_US)
        body = {
            "id": secrets.token_hex(16),
            "dev": ALL,
            "op": "stop",
            "ctr": self._counter,
            "ttl": MAX_TTL_MS,
            "by": self._options.by,
        }
        packed = msgspec.msgpack.encode(body)
        sealed = self._seal(ALL_STOP, packed)
        self._client.publish(ALL_STOP, sealed, qos=1)
        return self.wait(str(body["id"]), within_s)

    def compose(
        self,
        op: str,
        args: Mapping[str, Any] | None = None,
        *,
        ttl_s: float = 2.0,
        dry: bool = False,
    ) -> dict[str, Any]:
        """The body of the next command, for the device as it is now."""
        status = self.wait_online()
        # Above all that this key has used, also from another process, while clocks are sane.
        self._counter = max(self._counter + 1, utc_now_ns() // _NS_PER_US)
        return {
            "id": secrets.token_hex(16),
            "dev": self._options.device,
            "op": op,
            "args": dict(args or {}),
            "boot": status["boot"],
            "sess": status["sess"],
            "ctr": self._counter,
            "ttl": round(ttl_s * 1000),
            "by": self._options.by,
            "dry": dry,
            **self._age(),
        }

    def _age(self) -> dict[str, int]:
        """How long the present session is known here; nothing when it was retained."""
        if self._session_ns is None:
            return {}
        return {"age": (self._clock.now_ns() - self._session_ns) // NS_PER_MS}

    def publish(self, body: bytes, *, retain: bool = False) -> bytes:
        """Seal and send a body as it is; what went onto the wire."""
        sealed = self._seal(self._topics.cmd, body)
        self._client.publish(self._topics.cmd, sealed, qos=1, retain=retain)
        return sealed

    def _seal(self, topic: str, body: bytes) -> bytes:
        options = self._options
        return seal(options.secret, options.kid, topic, body, options.algorithm)

    def wait(self, command_id: str, within_s: float) -> Outcome:
        """The last answer to this command."""

        def answered() -> bool:
            return any(o.id == command_id and o.final for o in self._seen.values())

        self._until(answered, within_s)
        for outcome in self.answers(command_id):
            if outcome.final:
                return outcome
        raise NoAnswerError(
            f"no last answer to {command_id} within {within_s:g} s",
            where=self._options.device,
            fix=f"it may have been followed: ask `query` with id {command_id}",
        )

    def listen(self, within_s: float) -> Iterator[Mapping[str, Any] | Outcome]:
        """What the device says in this time: each status, each answer to anybody."""
        deadline_ns = self._clock.now_ns() + round(within_s * NS_PER_S)
        while (message := self._next(deadline_ns)) is not None:
            known = len(self._seen)
            self._take(message)
            if message.topic == self._topics.status:
                yield self.status
            elif len(self._seen) > known:
                yield next(reversed(self._seen.values()))

    def answers(self, command_id: str) -> list[Outcome]:
        """All answers to it so far, oldest first; a copy counts once."""
        return [outcome for outcome in self._seen.values() if outcome.id == command_id]

    def _until(self, condition: Callable[[], bool], within_s: float) -> None:
        deadline_ns = self._clock.now_ns() + round(within_s * NS_PER_S)
        while not condition():
            message = self._next(deadline_ns)
            if message is None:
                return
            self._take(message)

    def _next(self, deadline_ns: int) -> _Heard | None:
        left_ns = deadline_ns - self._clock.now_ns()
        try:
            return self._inbox.get(timeout=max(left_ns, 0) / NS_PER_S)
        except queue.Empty:
            return None

    def _take(self, heard: _Heard) -> None:
        try:
            if heard.topic == self._topics.status:
                before = self.status.get("sess")
                self.status = msgspec.msgpack.decode(heard.payload, type=dict[str, Any])
                if self.status.get("sess") != before:
                    self._session_ns = None if heard.retained else heard.stamp_ns
            else:
                outcome = msgspec.msgpack.decode(heard.payload, type=Outcome)
                self._seen.setdefault((outcome.boot, outcome.seq), outcome)
                if len(self._seen) > _ANSWERS_KEPT:
                    del self._seen[next(iter(self._seen))]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return  # not from a device of this version

    def _connect(self) -> paho.Client:
        options = self._options
        five = options.protocol == "5"
        version = MQTTProtocolVersion.MQTTv5 if five else MQTTProtocolVersion.MQTTv311
        name = f"ctl-{secrets.token_hex(8)}"
        client = paho.Client(CallbackAPIVersion.VERSION2, name, protocol=version)
        client.suppress_exceptions = True
        if options.username:
            client.username_pw_set(options.username, options.password or None)
        if options.tls is not None:
            client.tls_set_context(options.tls)
        client.on_socket_open = _no_delay
        client.reconnect_delay_set(1, 4)  # somebody waits; paho's own goes up to two minutes
        topics = [(self._topics.status, 1), (self._topics.resp, 1)]
        client.on_connect = lambda c, *_: c.subscribe(topics)
        client.on_message = lambda _c, _u, m: self._inbox.put(
            _Heard(m.topic, bytes(m.payload), m.retain, self._clock.now_ns())
        )
        try:
            client.connect(
                options.host,
                options.port,
                _KEEPALIVE_S,
                # A broker that ends forgets a session that began clean, even a durable one.
                clean_start=False if five else paho.MQTT_CLEAN_START_FIRST_ONLY,
                properties=_kept() if five else None,
            )
        except OSError as error:
            raise TransientError(
                f"no broker: {error}", where=f"{options.host}:{options.port}", fix="start it"
            ) from error
        client.loop_start()
        return client


def _kept() -> Properties:
    """The broker keeps what comes for us while a lost connection is made again."""
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho's own
    properties.SessionExpiryInterval = _SESSION_EXPIRY_S
    return properties


def _no_delay(_client: paho.Client, _userdata: object, sock: Any) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
