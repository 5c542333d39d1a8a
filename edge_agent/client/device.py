"""A synchronous client for one device: a command in, its last answer out.

Owns: one connection, the counter of its key, and the waiting for answers. Must not: retry
a command by itself: one that got no answer may have been followed, and only `query` can tell.
"""

import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

import msgspec

from edge_agent.authority.body import MAX_TTL_MS, read_status
from edge_agent.authority.desired import Desired
from edge_agent.authority.documents import Event, Meta, Reported, Telemetry
from edge_agent.authority.seal import Algorithm, open_seal, seal
from edge_agent.authority.topics import ALL, ALL_STOP, topics_of
from edge_agent.client.connection import BrokerOptions, Connection, Heard
from edge_agent.client.outcome import Outcome
from edge_agent.core.clock import NS_PER_MS, NS_PER_S, NS_PER_US, SystemClock, utc_now_ns
from edge_agent.core.errors import TransientError

_GRACE_S: Final = 1.0
_KEPT: Final = 4_096

Said: TypeAlias = Mapping[str, Any] | Outcome | Event | Telemetry | Meta | Reported


class NoAnswerError(TransientError):
    """No last answer came in time: what became of the command is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions(BrokerOptions):
    """Where the plane is, which device, and the key. `by` names the person in the recording."""

    device: str
    kid: str
    secret: bytes = field(repr=False)
    algorithm: Algorithm = "hmac"
    by: str = ""


class DeviceClient:
    """Connected from construction on; use as a context manager. Not for two threads."""

    def __init__(self, options: ClientOptions) -> None:
        """TransientError when the broker does not answer."""
        self._options = options
        self._topics = topics_of(options.device)
        self._clock = SystemClock()
        self._session_ns: int | None = None  # when its session was made, if it was heard live
        self._listening_on = 0  # the connection on which a status was heard last
        self._seen: dict[tuple[str, str, int], Outcome | Event] = {}
        self._counter = 0
        self.status: Mapping[str, Any] = {}
        self.meta: Meta | None = None
        self.telemetry: Telemetry | None = None
        self.reported: Reported | None = None
        self.desired: Desired | None = None  # as the broker keeps it, whoever wrote it
        heard = [(topic, 1) for topic in self._topics if topic != self._topics.cmd]
        self._connection = Connection(options, heard, self._clock)

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
        self._connection.close()

    def wait_online(self, within_s: float = 5.0) -> Mapping[str, Any]:
        """The device's status, as soon as it takes commands; NoAnswerError when it does not."""
        self._until(self._connection.empty, within_s)  # a status may have come since
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

        A command for a session that has ended is sent again within `within_s`, as soon as there is
        another one: it was refused, so it can not have been followed.
        """
        deadline_ns = self._clock.now_ns() + round(within_s * NS_PER_S)

        def asked() -> tuple[object, Outcome]:
            session = self.wait_online().get("sess")
            command_id = self.send(op, args, ttl_s=ttl_s, dry=dry)
            return session, self.wait(command_id, ttl_s + within_s + _GRACE_S)

        session, outcome = asked()
        while outcome.reason == "stale_session" and self._renewed(session, deadline_ns):
            session, outcome = asked()
        return outcome

    def _renewed(self, session: object, deadline_ns: int) -> bool:
        """Whether the device takes commands for another session, by then."""

        def renewed() -> bool:
            return bool(self.status.get("on")) and self.status.get("sess") != session

        self._until(renewed, (deadline_ns - self._clock.now_ns()) / NS_PER_S)
        return renewed() and self._clock.now_ns() < deadline_ns

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
        self._counter = max(self._counter + 1, utc_now_ns() // NS_PER_US)
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
        self._connection.publish(ALL_STOP, sealed, expires=True)
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
        boot, sess = (str(status.get(name, "")) for name in ("boot", "sess"))
        # Above all that this key has used, also from another process, while clocks are sane.
        self._counter = max(self._counter + 1, utc_now_ns() // NS_PER_US)
        return {
            "id": secrets.token_hex(16),
            "dev": self._options.device,
            "op": op,
            "args": dict(args or {}),
            "boot": boot,
            "sess": sess,
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
        self._connection.publish(self._topics.cmd, sealed, retain=retain, expires=True)
        return sealed

    def _seal(self, topic: str, body: bytes) -> bytes:
        options = self._options
        return seal(options.secret, options.kid, topic, body, options.algorithm)

    def wait(self, command_id: str, within_s: float) -> Outcome:
        """The last answer to this command."""

        def answered() -> bool:
            return any(o.final for o in self.answers(command_id))

        self._until(answered, within_s)
        for outcome in self.answers(command_id):
            if outcome.final:
                return outcome
        raise NoAnswerError(
            f"no last answer to {command_id} within {within_s:g} s",
            where=self._options.device,
            fix=f"it may have been followed: ask `query` with id {command_id}",
        )

    def listen(self, within_s: float) -> Iterator[Said]:
        """What the device says in this time, each copy once: its status (a map), answers to
        anybody, events, telemetry, what it is and what is in force."""
        deadline_ns = self._clock.now_ns() + round(within_s * NS_PER_S)
        while (message := self._connection.next(deadline_ns)) is not None:
            said = self._take(message)
            if said is not None:
                yield said

    def set_desired(
        self, wanted: Mapping[str, float | str], *, ver: int | None = None, within_s: float = 5.0
    ) -> Reported:
        """Desire all of this and nothing else, and wait until the device has judged it.

        Without `ver` it is the next one. The caller looks at `ver` and `refused` of what is
        returned. NoAnswerError when nothing is reported in time: the broker has it, and the
        device will judge it when it is there.
        """
        self._until(lambda: self.reported is not None, within_s)
        known = 0 if self.reported is None else self.reported.ver
        written = 0 if self.desired is None else self.desired.ver
        version = max(known, written) + 1 if ver is None else ver
        body = Desired(dev=self._options.device, ver=version, by=self._options.by, set=dict(wanted))
        packed = msgspec.msgpack.encode(body)
        before = self.reported
        topic = self._topics.desired
        self._connection.publish(topic, self._seal(topic, packed), retain=True)
        self._until(lambda: self._has_judged(version, before), within_s)
        if self.reported is None or not self._has_judged(version, before):
            raise NoAnswerError(f"{self._options.device} has not judged version {version} yet")
        return self.reported

    def hear(self, within_s: float = 1.0) -> None:
        """Take in what comes within this time: what the broker keeps comes at once."""
        for _said in self.listen(within_s):
            pass

    def _has_judged(self, version: int, before: Reported | None) -> bool:
        now = self.reported
        if now is None or now is before:
            return False
        return now.ver == version or (now.refused is not None and now.refused.ver == version)

    def answers(self, command_id: str) -> list[Outcome]:
        """All answers to it so far, oldest first; a copy counts once."""
        return [o for o in self._seen.values() if isinstance(o, Outcome) and o.id == command_id]

    def _until(self, condition: Callable[[], bool], within_s: float) -> None:
        deadline_ns = self._clock.now_ns() + round(within_s * NS_PER_S)
        while not condition():
            message = self._connection.next(deadline_ns)
            if message is None:
                return
            self._take(message)

    def _take(self, heard: Heard) -> Said | None:
        """Note what was said; None when it was said before, or is of no known form."""
        try:
            said = self._read(heard)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None  # not from a device of this version
        match said:
            case Outcome() | Event():
                name = heard.topic, said.boot, said.seq
                if name in self._seen:
                    return None
                self._seen[name] = said
                if len(self._seen) > _KEPT:
                    del self._seen[next(iter(self._seen))]
            case Telemetry():
                self.telemetry = self.telemetry if said.hist else said
            case Meta():
                self.meta = said
            case Reported():
                self.reported = said
            case Desired():
                self.desired = said
                return None
            case None:
                return None
            case _:
                self._date(said, heard)
                self.status = said
        return said

    def _date(self, status: Mapping[str, Any], heard: Heard) -> None:
        """Note when its session was made. A change that comes live tells; the first status of a
        connection may be a repetition, and a retained one is as old as it is. One that the broker
        kept looks live: its age is too small, and a command with it late at worst."""
        first, self._listening_on = heard.connection != self._listening_on, heard.connection
        if heard.retained or first:
            self._session_ns = None
        elif status.get("sess") != self.status.get("sess"):
            self._session_ns = heard.stamp_ns

    def _read(self, heard: Heard) -> Said | Desired | None:
        """A message by its topic."""
        topics, decode = self._topics, msgspec.msgpack.decode
        if heard.topic == topics.desired:
            sealed = open_seal(heard.payload)
            return None if sealed is None else decode(sealed.body, type=Desired)
        if heard.topic == topics.status:
            return read_status(heard.payload)
        kinds: Mapping[str, type[Outcome | Event | Telemetry | Meta | Reported]] = {
            topics.resp: Outcome,
            topics.evt: Event,
            topics.tele: Telemetry,
            topics.meta: Meta,
            topics.reported: Reported,
        }
        kind = kinds.get(heard.topic)
        return None if kind is None else decode(heard.payload, type=kind)
