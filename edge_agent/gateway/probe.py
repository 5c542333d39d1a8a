"""One visit to a broker: does it answer, what does it let this device say, and what is heard.

Owns: the visit and its bounds in time. Must not: send anything that a reader could take for a
measurement or a command, keep a session, or leave a retained message.

An access list hides what it denies. Mosquitto accepts every subscription and delivers nothing; by
MQTT 3.1.1 it also acknowledges a message that it throws away. So the visit is made by MQTT 5,
where the acknowledgement tells, and a denied subscription shows as a topic on which nothing is
heard.
"""

import select
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, NamedTuple

from edge_agent.core.clock import NS_PER_MS, NS_PER_S, Clock
from edge_agent.gateway.session import LinkOptions, Session, SignalKind

_STEP_NS: Final = 100 * NS_PER_MS
_END_WITHIN_S: Final = 2.0
_GONE: Final = frozenset({SignalKind.REFUSED, SignalKind.FAILED, SignalKind.LOST})


class Plan(NamedTuple):
    """`echo` is published and listened for; `says` are payloads by topic, published at QoS 1 and
    not retained. `options.topics` of the visit has `echo` and whatever else is to be heard."""

    echo: str
    echo_payload: bytes
    says: Mapping[str, bytes]
    connect_within_ns: int = 8 * NS_PER_S
    answer_within_ns: int = 3 * NS_PER_S
    listen_ns: int = 3 * NS_PER_S


class Visit(NamedTuple):
    """`problem`: why there is no connection, else empty; then the rest means nothing.

    `tells_denials` is whether the protocol was one in which acknowledgements do.
    """

    problem: str
    tells_denials: bool = False
    refused: Mapping[str, str] = {}
    denied: Mapping[str, str] = {}
    unanswered: tuple[str, ...] = ()
    round_trip_ns: int | None = None
    heard: frozenset[str] = frozenset()


def visit(options: LinkOptions, plan: Plan, clock: Clock) -> Visit:
    """Connect, subscribe, speak, listen, leave. By MQTT 5, and by the protocol of `options` with a
    broker that does not know it."""
    found = _visit(replace(options, protocol="5", durable=False), plan, clock)
    if found.problem and options.protocol != "5":
        return _visit(replace(options, durable=False), plan, clock)
    return found


def _visit(options: LinkOptions, plan: Plan, clock: Clock) -> Visit:
    read, write = socket.socketpair()
    with read, write:
        read.setblocking(False)
        write.setblocking(False)
        guest = _Guest(Session(options, clock, write, 1), read, clock)
        try:
            return guest.stay(options, plan)
        finally:
            guest.leave()


class _Guest:
    """What happened on the one connection."""

    def __init__(self, session: Session, wake: socket.socket, clock: Clock) -> None:
        self._session = session
        self._wake = wake
        self._clock = clock
        self._connected = False
        self._problem = ""
        self._subscribed: dict[int, str] = {}
        self._acked: dict[int, str] = {}
        self._heard: dict[str, list[bytes]] = {}
        self._echo_ns: int | None = None

    def stay(self, options: LinkOptions, plan: Plan) -> Visit:
        self._until(lambda: self._connected, plan.connect_within_ns)
        if not self._connected:
            return Visit(self._problem or "no answer to the connection")
        self._session.subscribe(options.topics)
        self._until(lambda: len(self._subscribed) >= len(options.topics), plan.answer_within_ns)
        round_trip_ns, mids = self._speak(plan)
        self._until(lambda: self._heard.keys() >= {*options.topics}, plan.listen_ns)
        # Subscriptions are asked for one by one, so their numbers rise in the same order.
        answers = zip(options.topics, sorted(self._subscribed), strict=False)
        return Visit(
            problem=self._problem,
            tells_denials=options.protocol == "5",
            refused={t: self._subscribed[m] for t, m in answers if self._subscribed[m]},
            denied={t: self._acked[m] for t, m in mids.items() if self._acked.get(m)},
            unanswered=tuple(t for t, m in mids.items() if m not in self._acked),
            round_trip_ns=round_trip_ns,
            heard=frozenset(self._heard),
        )

    def leave(self) -> None:
        """Within a bounded time; the process ends soon after in any case."""
        self._session.end()
        self._session.finished(_END_WITHIN_S)

    def _speak(self, plan: Plan) -> tuple[int | None, dict[str, int]]:
        """Time until the echo came back, and the message number of each topic."""
        sent_ns = self._clock.now_ns()
        mids: dict[str, int] = {}
        for topic, payload in {plan.echo: plan.echo_payload, **plan.says}.items():
            mid = self._session.publish(topic, payload, 1, retain=False)
            if mid is not None:
                mids[topic] = mid
        self._until(
            lambda: (
                self._acked.keys() >= {*mids.values()}
                and (plan.echo_payload in self._heard.get(plan.echo, ()) or self._denied(mids))
            ),
            plan.answer_within_ns,
        )
        heard = plan.echo_payload in self._heard.get(plan.echo, ())
        return (self._clock.now_ns() - sent_ns if heard else None), mids

    def _denied(self, mids: Mapping[str, int]) -> bool:
        return any(self._acked.get(mid) for mid in mids.values())

    def _until(self, done: Callable[[], bool], within_ns: int) -> None:
        """Take in what comes until `done`, the end of the connection, or the end of the time."""
        end_ns = self._clock.now_ns() + within_ns
        self._take()
        while not done() and not self._problem:
            left_ns = end_ns - self._clock.now_ns()
            if left_ns <= 0:
                return
            select.select((self._wake,), (), (), min(left_ns, _STEP_NS) / NS_PER_S)
            self._take()

    def _take(self) -> None:
        while select.select((self._wake,), (), (), 0)[0] and self._wake.recv(4096):
            pass
        while self._session.signals:
            signal = self._session.signals.popleft()
            if signal.kind is SignalKind.CONNECTED:
                self._connected = True
            elif signal.kind is SignalKind.ACKED:
                self._acked[signal.number] = signal.text
            elif signal.kind is SignalKind.SUBSCRIBED:
                self._subscribed[signal.number] = ""
            elif signal.kind is SignalKind.SUBSCRIBE_REFUSED:
                self._subscribed[signal.number] = signal.text
            elif signal.kind in _GONE:
                # The first one says why; what follows is only the end.
                self._problem = self._problem or signal.text or signal.kind.name.lower()
        while self._session.messages:
            message = self._session.messages.popleft()
            self._heard.setdefault(message.topic, []).append(message.payload or b"")
