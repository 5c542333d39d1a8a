"""The MQTT link: one connection after another, for as long as the gateway lives.

Owns: when to connect, when to give a connection up, and what may be sent on it. Must not:
block, know what a message means, or keep messages for later: what cannot be sent now is
refused and counted, since the recording holds everything and old telemetry helps nobody.

Driven by the main loop: `service` after each wake-up and at least a few times a second, then
`take_messages` and `take_acks`. The retained status doubles as heartbeat: it is sent again
every keepalive with QoS 1, and its acknowledgement proves that the network thread and the
broker both still work; paho alone notices neither a dead thread nor a stuck one.
"""

import random
import select
import socket
from collections import deque
from dataclasses import replace

from edge_agent.core.clock import NS_PER_S, Clock
from edge_agent.gateway.backoff import Backoff
from edge_agent.gateway.session import LinkOptions, Received, Session, Signal, SignalKind

CONNECT_DEADLINE_NS = 15 * NS_PER_S
STABLE_AFTER_NS = 10 * NS_PER_S
ASK_AGAIN_AFTER_NS = 5 * NS_PER_S
# Of silence about subscriptions. A NATS cluster grants one after the other, and takes 4 to 5 s for
# one while a node is missing.
GRANTED_WITHIN_NS = 15 * NS_PER_S
SILENT_KEEPALIVES = 3
CLOSE_WAIT_NS = 2 * NS_PER_S
CLOSE_STEP_S = 0.5
TAKEN_OVER = "taken_over"
_SESSION_TAKEN_OVER = 0x8E
_COUNTERS = (
    "connects",
    "connect_failures",
    "disconnects",
    "subscriptions",
    "subscriptions_refused",
    "messages",
    "messages_dropped",
    "published",
    "publish_refused",
    "threads_died",
    "links_silent",
)


class MqttLink:
    """State is `waiting`, `connecting`, `connected`, `taken_over` or `closed`."""

    def __init__(self, options: LinkOptions, clock: Clock, rng: random.Random) -> None:
        self._options = options
        self._brokers = ((options.host, options.port), *options.others)
        self._clock = clock
        self._backoff = Backoff(rng)
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        self._session: Session | None = None
        self._ending: list[Session] = []
        self._messages: deque[Received] = deque()
        self._acks: list[int] = []
        self._awaited: set[str] = set()  # topics not granted yet, on this connection
        self._refused: list[str] = []  # of these
        self._ask_again_ns = 0
        self._asked_ns = 0  # when the broker was asked for one, or last answered
        self._status = b""
        self._status_sent_ns = 0
        self._next_attempt_ns = clock.now_ns()
        self._connected_ns = 0
        self._last_sign_ns = 0
        self._counts = dict.fromkeys(_COUNTERS, 0)
        self.state = "waiting"
        self.last_reason = ""
        self.connection = 0  # number of the present or the last attempt

    def fileno(self) -> int:
        """Readable when `service` has something to do."""
        return self._wake_read.fileno()

    @property
    def connected(self) -> bool:
        """Whether messages can be sent: between CONNACK and the loss of the connection."""
        return self.state == "connected"

    @property
    def listening(self) -> bool:
        """Whether the broker has also granted every subscription: a NATS cluster takes seconds for
        it, and who says before that he is there hears everything late, or nothing."""
        return self.connected and not self._awaited

    @property
    def window(self) -> int:
        """How many messages may be under way on this connection."""
        return 0 if self._session is None else self._session.window

    def service(self, now_ns: int) -> None:
        """Take in what the network thread noted; start, give up or watch a connection."""
        self._drain_wake()
        self._ending = [session for session in self._ending if not session.finished()]
        if self._session is not None:
            self._take(self._session, now_ns)
        if self._session is not None:
            self._watch(self._session, now_ns)
        elif self.state == "waiting" and now_ns >= self._next_attempt_ns:
            self.state = "connecting"
            host, port = self._brokers[self.connection % len(self._brokers)]
            self.connection += 1
            options = replace(self._options, host=host, port=port)
            self._session = Session(options, self._clock, self._wake_write, self.connection)

    def take_messages(self) -> list[Received]:
        """Everything received since the last call, oldest first."""
        messages = list(self._messages)
        self._messages.clear()
        return messages

    def take_acks(self) -> list[int]:
        """Message ids that the broker acknowledged since the last call."""
        acks, self._acks = self._acks, []
        return acks

    def ack(self, message: Received) -> None:
        """Tell the broker, if it is still that connection; on the next it sends it again."""
        if self._session is not None and message.connection == self.connection:
            self._session.ack(message.mid)

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 0,
        retain: bool = False,
        correlation: bytes = b"",
    ) -> int | None:
        """Send now or not at all: the message id, or None when there is no connection.
        `correlation`: for protocol 5."""
        mid = None
        if self._session is not None and self.connected:
            mid = self._session.publish(topic, payload, qos, retain=retain, correlation=correlation)
        self._counts["publish_refused" if mid is None else "published"] += 1
        return mid

    def set_status(self, payload: bytes) -> None:
        """The retained status from now on: sent at once if it changed, and at each connect."""
        if payload != self._status:
            self._status = payload
            if self.connected:
                self._send_status()

    def leave(self, now_ns: int, reason: str, last_status: bytes = b"") -> None:
        """For good: the identity is somebody else's as well. Waits as `close` does."""
        if last_status:
            self._say_last(last_status)
        if self._session is not None:
            self._give_up(self._session, now_ns, reason)
        self.last_reason = reason
        self.state = TAKEN_OVER

    def counters(self) -> dict[str, int | str]:
        """State and counters by flat name."""
        counts = dict(self._counts)
        if self._session is not None:
            counts["messages_dropped"] += self._session.messages_dropped
        return {
            "mqtt.state": self.state,
            "mqtt.broker": ":".join(
                map(str, self._brokers[(self.connection - 1) % len(self._brokers)])
            ),
            "mqtt.reason": self.last_reason,
            **{f"mqtt.{name}": count for name, count in counts.items()},
        }

    def close(self, last_status: bytes) -> None:
        """Publish the last status, wait briefly until the broker has it, and disconnect.

        The wait matters: a socket closed with answers still unread is reset, and the broker
        may then throw away what it had not yet read, this last word included.
        """
        self._say_last(last_status)
        if self._session is not None:
            self._session.end()
            self._session.finished(CLOSE_STEP_S)
            self._session = None
        self.state = "closed"
        self._wake_read.close()
        self._wake_write.close()

    def _say_last(self, status: bytes) -> None:
        if self.connected and self._options.status_topic:
            self._acks = []
            mid = self.publish(self._options.status_topic, status, qos=1, retain=True)
            deadline_ns = self._clock.now_ns() + CLOSE_WAIT_NS
            while self._session is not None and mid is not None and mid not in self._acks:
                if self._clock.now_ns() > deadline_ns:
                    break
                select.select([self.fileno()], [], [], CLOSE_STEP_S)
                self._drain_wake()
                self._take(self._session, self._clock.now_ns())

    def _drain_wake(self) -> None:
        try:
            while self._wake_read.recv(4096):
                pass
        except BlockingIOError:
            pass

    def _take(self, session: Session, now_ns: int) -> None:
        while session.messages:
            self._messages.append(session.messages.popleft())
            self._counts["messages"] += 1
            self._last_sign_ns = now_ns
        while session.signals and self._session is session:
            self._react(session, session.signals.popleft(), now_ns)

    def _react(self, session: Session, signal: Signal, now_ns: int) -> None:
        match signal.kind:
            case SignalKind.CONNECTED:
                self._counts["connects"] += 1
                self.state = "connected"
                self.last_reason = ""
                self._connected_ns = self._last_sign_ns = self._asked_ns = now_ns
                self._refused = []
                self._awaited = set(self._options.topics)
                session.subscribe(self._options.topics)
                self._send_status()
            case SignalKind.ACKED:
                self._last_sign_ns = now_ns
                self._acks.append(signal.number)
            case SignalKind.SUBSCRIBE_REFUSED:
                self._counts["subscriptions_refused"] += 1
                topic = session.asked_with(signal.number)
                self._refused.append(topic)
                self._ask_again_ns = now_ns + ASK_AGAIN_AFTER_NS
                self.last_reason = f"{topic}: {signal.text}"
            case SignalKind.SUBSCRIBED:
                self._counts["subscriptions"] += 1
                self._last_sign_ns = self._asked_ns = now_ns
                self._awaited.discard(session.asked_with(signal.number))
                self.last_reason = "" if self.listening else self.last_reason
            case SignalKind.LOST if signal.number == _SESSION_TAKEN_OVER:
                # Another device has our identity: two that fight help nobody. A person must act.
                self.leave(now_ns, signal.text)
            case SignalKind.FAILED | SignalKind.REFUSED | SignalKind.LOST:
                self._give_up(session, now_ns, signal.text)

    def _watch(self, session: Session, now_ns: int) -> None:
        keepalive_ns = self._options.keepalive_s * NS_PER_S
        if session.thread_died():
            self._counts["threads_died"] += 1
            self._give_up(session, now_ns, "network thread died")
        elif not self.connected:
            if now_ns - session.started_ns > CONNECT_DEADLINE_NS:
                self._give_up(session, now_ns, "no answer in time")
        elif self._refused and now_ns >= self._ask_again_ns:
            # A cluster that has just lost a node refuses for a while; a deaf link may not last.
            topics, self._refused = self._refused, []
            self._asked_ns = now_ns
            session.subscribe(topics)
        elif self._awaited and not self._refused and now_ns - self._asked_ns > GRANTED_WITHIN_NS:
            self._give_up(session, now_ns, "subscriptions not granted")
        elif self._options.status_topic:
            if now_ns - self._last_sign_ns > SILENT_KEEPALIVES * keepalive_ns:
                self._counts["links_silent"] += 1
                self._give_up(session, now_ns, "broker silent")
            elif now_ns - self._status_sent_ns > keepalive_ns:
                self._send_status()

    def _give_up(self, session: Session, now_ns: int, reason: str) -> None:
        was_connected = self.connected
        self._counts["disconnects" if was_connected else "connect_failures"] += 1
        self._counts["messages_dropped"] += session.messages_dropped
        if was_connected and now_ns - self._connected_ns >= STABLE_AFTER_NS:
            self._backoff.reset()
        session.end()
        self._ending.append(session)
        self._session = None
        self.state = "waiting"
        self.last_reason = reason
        self._next_attempt_ns = now_ns + self._backoff.next_delay_ns()

    def _send_status(self) -> None:
        if self._options.status_topic and self._status:
            self._status_sent_ns = self._clock.now_ns()
            self.publish(self._options.status_topic, self._status, qos=1, retain=True)
