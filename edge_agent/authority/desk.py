"""The desk: every command is opened, judged and answered here, in the control process.

Owns: the state of all commands of this run: sessions, counters, answers, what is pending.
Must not: read a clock, make random numbers or do I/O, so that its whole behaviour can be
tested in microseconds. A command that passes becomes an Intent, which the agent judges again;
nothing here can move anything.

A message that is too large, is no sealed command, names no known key or is not signed by it is
dropped, counted and never answered. Everything else is answered with its reason.
"""

from collections import Counter, deque
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec

from edge_agent.authority import admission
from edge_agent.authority.body import Body, Reply, decode_body, source_of
from edge_agent.authority.events import Refusal
from edge_agent.authority.keyring import Key, Keyring, open_genuine
from edge_agent.authority.memory import Memory, Remembered
from edge_agent.authority.operations import (
    Args,
    CancelArgs,
    Progress,
    QueryArgs,
)
from edge_agent.authority.pending import Pending, Ticket, within_ns
from edge_agent.authority.ruling import FAILED, REJECTED, Admitted, Refused, Situation
from edge_agent.authority.seal import Sealed
from edge_agent.authority.sessions import Sessions
from edge_agent.core.command_ipc import Answer, Carried, Standing
from edge_agent.core.records import Intent, Mode, Op, TickRecord
from edge_agent.safety.limits import Envelope

ACCEPTED: Final = "accepted"
RUNNING: Final = "running"
DONE: Final = "done"
CANCELLED: Final = "cancelled"
_MAKES_SAFE: Final = (Op.DISARM, Op.STOP)
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
_AT_REST: Final = (int(Mode.SAFE), int(Mode.TRIPPED))
_REFUSALS_KEPT: Final = 64


class Office(NamedTuple):
    """What a desk stands in: the device, its limits, and who may command it."""

    device_id: str
    keyring: Keyring
    limits: Envelope
    monitor_only: bool = False  # the configuration says so, and no command can lift it
    local_only: frozenset[str] = frozenset()  # operations that it takes from nobody afar


class Desk:
    """All commands of one run of one device."""

    def __init__(self, office: Office, sessions: Sessions) -> None:
        self._office = office
        self._keyring = office.keyring
        self._limits = office.limits
        self.sessions = sessions
        self._memory = Memory()
        self._pending: list[Pending] = []
        self._take_back: list[Intent] = []
        self._last: TickRecord | None = None
        self._now_ns = 0
        self._seq = 0
        self._counts: Counter[str] = Counter()
        self._refusals: deque[Refusal] = deque(maxlen=_REFUSALS_KEPT)

    @property
    def standing(self) -> Standing:
        """What commands must name, for the gateway to publish."""
        return Standing(self.sessions.boot, self.sessions.current, self.sessions.link)

    def counters(self) -> dict[str, int]:
        """Outcome to how often; what never happened is absent."""
        return dict(self._counts)

    def take_refusals(self) -> list[Refusal]:
        """What was refused or dropped since the last call."""
        taken = list(self._refusals)
        self._refusals.clear()
        return taken

    def replace_keyring(self, keyring: Keyring) -> None:
        """From now on these keys. What a key began that it may not ask for any more ends, unless
        it makes the device safe. Counters stay: a key that comes back is no new one."""
        self._keyring = keyring
        for pending in self._pending:
            ticket, operation = pending.ticket, pending.operation
            key = keyring.keys.get(ticket.kid)
            may = (
                key is not None
                and key.material == ticket.key.material
                and key.may(ticket.op, operation.roles)
            )
            if not may and pending.can_be_cancelled and operation.intent not in _MAKES_SAFE:
                pending.cancelled = True

    def receive(self, carried: Carried, now_ns: int) -> Answer:
        """Judge one message: the end of it, or `accepted`."""
        self._now_ns = max(self._now_ns, now_ns)
        opened = self._open(carried)
        if isinstance(opened, str):
            self._counts[f"dropped.{opened}"] += 1
            self._refusals.append(Refusal(opened))
            return Answer(carried.row, final=True, body=b"")
        sealed, key, body = opened
        known = self._memory.find(body.id)
        if known is not None:
            return self._again(carried, body, sealed, known)
        ticket = Ticket(carried.row, body.id, sealed.sig, body.op, sealed.kid, key)
        source = source_of("plane", sealed.kid, body.by)
        ruling = self._judge(carried, body, sealed.kid, source)
        if isinstance(ruling, Refused):
            self._refusals.append(Refusal(ruling.why["reason"], sealed.kid, body.op, body.id))
            return self._say(ticket, ruling.state, why=ruling.why)
        if body.dry:
            return self._say(ticket, DONE, data={"dry": True, "mode": self._now()["mode"]})
        if ruling.op is None:
            return self._say(ticket, DONE, data=self._told(ruling.args))
        age_ns = admission.age_of(self.sessions, carried, body, self._now_ns)
        begin_by_ns = self._now_ns - age_ns + body.ttl * admission.NS_PER_MS
        self._pending.append(
            Pending(
                ticket,
                ruling.operation,
                ruling.intent(ruling.op, source, body.id),
                begin_by_ns,
                self._now_ns + within_ns(ruling),
            )
        )
        return self._say(ticket, ACCEPTED)

    def intents(self, now_ns: int) -> tuple[Intent, ...]:
        """What to tell the agent in the tick that begins at `now_ns`."""
        if not self._pending and not self._take_back:
            return ()
        wishes, self._take_back = self._take_back, []
        for pending in self._pending:
            if not (pending.given or pending.cancelled) and now_ns <= pending.begin_by_ns:
                pending.given = True
                wishes.append(pending.intent)
        return tuple(wishes)

    def settle(self, tick: TickRecord) -> list[Answer]:
        """What the tick has made of the pending commands."""
        self._last, self._now_ns = tick, tick.now_ns
        if not self._pending:
            return []
        found = [self._progress(pending, tick) for pending in list(self._pending)]
        return [answer for answer in found if answer is not None]

    def _open(self, carried: Carried) -> tuple[Sealed, Key, Body] | str:
        """The signed command, or why it is not worth an answer."""
        opened = open_genuine(self._keyring.keys, carried.topic, carried.sealed)
        if isinstance(opened, str):
            return opened
        sealed, key = opened
        body = decode_body(sealed.body)
        return "bad_body" if body is None else (sealed, key, body)

    def _situation(self) -> Situation:
        return Situation(
            device=self._office.device_id,
            sessions=self.sessions,
            limits=self._limits,
            last=self._last,
            pending=len(self._pending),
            monitor_only=self._office.monitor_only,
            local_only=self._office.local_only,
        )

    def _judge(self, carried: Carried, body: Body, kid: str, source: str) -> Refused | Admitted:
        situation = self._situation()
        return (
            admission.untimely(situation, carried, body, self._now_ns)
            or admission.replayed(self._memory, kid, body)
            or admission.unfit(situation, body, self._keyring.keys[kid], source)
        )

    def _again(self, carried: Carried, body: Body, sealed: Sealed, known: Remembered) -> Answer:
        """The same command gets the same answer; another that has its id is refused."""
        if sealed.sig != known.sig:
            self._counts["rejected.replayed"] += 1
            self._refusals.append(Refusal("replayed", sealed.kid, body.op, body.id))
            reply = self._reply(body.id, REJECTED, {"reason": "replayed", "of": known.state}, {})
            return Answer(carried.row, final=True, body=reply)
        self._counts["repeated"] += 1
        for pending in self._pending:
            if pending.ticket.command_id == body.id:
                pending.ticket.row = carried.row
        return Answer(carried.row, known.final, known.body)

    def _told(self, args: Args) -> dict[str, Any]:
        """The answer of an operation that is answered at once."""
        if isinstance(args, CancelArgs):
            return self._cancel(args.id)
        if isinstance(args, QueryArgs):
            known = self._memory.find(args.id)
            return {"id": args.id, "st": "unknown" if known is None else known.state}
        return self._now()

    def _cancel(self, wanted: str) -> dict[str, Any]:
        """End a command with the next tick, if it is not too late for that."""
        for pending in self._pending:
            if pending.ticket.command_id == wanted and pending.can_be_cancelled:
                pending.cancelled = True
                return {"id": wanted, "cancelled": True}
        known = self._memory.find(wanted)
        state = "unknown" if known is None else known.state
        return {"id": wanted, "cancelled": False, "st": state}

    def _now(self) -> dict[str, Any]:
        """Mode and root cause."""
        situation = self._situation()
        words = admission.cause_words(situation.cause, self._limits)
        return {"mode": Mode(situation.mode).name, **words}

    def _progress(self, pending: Pending, tick: TickRecord) -> Answer | None:
        """Whether the agent has done it, is on the way, or never will."""
        operation, ticket = pending.operation, pending.ticket
        progress = operation.progress(operation, pending.intent, tick)
        reason = ""
        if pending.cancelled and progress != Progress.DONE:
            self._pending.remove(pending)
            self._undo(pending)
            return self._say(ticket, CANCELLED, data=self._now())
        if not pending.given:
            reason = "expired" if self._now_ns > pending.begin_by_ns else ""
        elif progress == Progress.DONE or (progress == Progress.LAPSED and pending.running):
            self._pending.remove(pending)
            return self._say(ticket, DONE, data=self._now())
        elif progress == Progress.ENDED and pending.running:
            reason = "ended"
        elif progress != Progress.UNDER_WAY:
            reason = "not_taken"
        elif self._now_ns > pending.end_by_ns:
            reason = "timeout"
        elif not pending.running:
            pending.running = True
            return self._say(ticket, RUNNING, why=self._now())
        if not reason:
            return None
        self._pending.remove(pending)
        self._undo(pending)
        return self._say(ticket, FAILED, why={"reason": reason, **self._now()})

    def _undo(self, pending: Pending) -> None:
        """What did not get there may not happen later by itself."""
        undo = pending.operation.take_back
        if pending.given and undo is not None and self._situation().mode not in _AT_REST:
            self._take_back.append(msgspec.structs.replace(pending.intent, op=undo))

    def _say(
        self,
        ticket: Ticket,
        state: str,
        *,
        why: Mapping[str, Any] = _NOTHING,
        data: Mapping[str, Any] = _NOTHING,
    ) -> Answer:
        """Keep what became of a command, and put it into words."""
        reason = f".{why['reason']}" if "reason" in why else ""
        self._counts[state + reason] += 1
        reply = self._reply(ticket.command_id, state, why, data)
        final = state not in (ACCEPTED, RUNNING)
        self._memory.keep(ticket.command_id, Remembered(ticket.sig, state, reply, final))
        return Answer(ticket.row, final, reply)

    def _reply(
        self, command_id: str, state: str, why: Mapping[str, Any], data: Mapping[str, Any]
    ) -> bytes:
        self._seq += 1
        return msgspec.msgpack.encode(
            Reply(
                id=command_id,
                st=state,
                boot=self.sessions.boot,
                seq=self._seq,
                at=self._now_ns,
                why=dict(why),
                data=dict(data),
            )
        )
