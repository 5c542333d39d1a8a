"""The desired state: a whole signed document that holds until the next one.

Owns: what may be desired, the judging of a document as a whole, and how the agent is kept to it.
Must not: arm, drive, or mix with commands: a command that sets the same thing is the newer wish
and counts until it is cleared, the run ends, or a new version comes.

What may be desired is what is safe to hold while nobody looks: goals inside the envelope, whether
what is decided is driven (which only changes while SAFE, and never out of a configured monitor),
and how often telemetry is sent.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, NamedTuple

import msgspec

from edge_agent.authority.body import source_of
from edge_agent.authority.desired_keys import (
    CONFLICT,
    CONTROL,
    GOAL,
    OK,
    PENDING,
    RATE,
    Terms,
    check_key,
)
from edge_agent.authority.documents import KeyState, NotApplied, Reported
from edge_agent.authority.keyring import Keyring, open_genuine
from edge_agent.core.records import Intent, Mode, Op, TickRecord
from edge_agent.decision.goals import settable
from edge_agent.safety.limits import Envelope

OP: Final = "desired"  # as keys of the keyring name it in `ops`
ROLES: Final = frozenset({"cmd"})
_GOAL_OPS: Final = (Op.SET_GOAL, Op.SET_BAND, Op.CLEAR_GOAL)
_NEVER: Final = 0  # the version before the first
_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class Desired(msgspec.Struct, frozen=True, kw_only=True):
    """The body. `ver` grows with every document of the device, whoever signs it; what `set` does
    not name is as configured."""

    dev: _Id
    ver: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
    by: Annotated[str, msgspec.Meta(max_length=64)] = ""
    set: Annotated[dict[_Id, float | str | None], msgspec.Meta(max_length=64)]


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """What outlives a restart: the last good document as received, and its version. A list, which
    a newer version of the program may make longer and never otherwise: the first two are these."""

    ver: int
    sealed: bytes


class Site(NamedTuple):
    """Where a document is judged. `topic` is the one that it must be signed for."""

    device_id: str
    topic: str
    keyring: Keyring
    limits: Envelope
    boot: str
    control: str  # as configured, like these
    rate_hz: float
    local_only: frozenset[str]


class DesiredState:
    """The state of one run. `report` is None while there is nothing new to tell."""

    def __init__(self, site: Site, kept: Kept | None) -> None:
        self._site = site
        self._keyring = site.keyring
        index = site.limits.sensor_index
        self._channels = {GOAL + name: index[name] for name in settable(site.limits)}
        self._terms = Terms(site.limits, self._channels, site.control, site.local_only)
        self.kept = kept
        self._wanted: Mapping[str, Any] = {}
        self._goals: dict[int, tuple[int, ...]] = dict.fromkeys(self._channels.values(), ())
        self._overridden: set[str] = set()
        self._intents: list[Intent] = []
        self._source = ""
        self._ver = _NEVER
        self._mode = int(Mode.SAFE)
        self._monitor = site.control == "monitor"
        self._refusal: NotApplied | None = None
        self._news = True
        if kept is not None:
            self._resume(kept)

    @property
    def rate_hz(self) -> float:
        """How often telemetry is to be sent."""
        wanted = self._wanted.get(RATE)
        return float(self._site.rate_hz if wanted is None else wanted)

    def replace_keyring(self, keyring: Keyring) -> None:
        """From now on these keys judge. What is in force stays: it was good when it came."""
        self._keyring = keyring

    def receive(self, sealed: bytes) -> str:
        """Judge one document: `applied`, `known`, or the reason why nothing changed."""
        if self.kept is not None and sealed == self.kept.sealed:
            if not self._ver:  # it was not good under the keys of the start
                self._resume(self.kept)
            return "known"
        opened = self._open(sealed)
        if isinstance(opened, str):
            return opened
        body, kid = opened
        reason, keys = self._judge(body, kid)
        self._news = True
        if reason:
            self._refusal = NotApplied(ver=body.ver, reason=reason, keys=keys)
            return reason
        self._refusal = None
        self.kept = Kept(body.ver, sealed)
        self._apply(body, kid)
        return "applied"

    def intents(self) -> tuple[Intent, ...]:
        """What to tell the agent in the tick that begins."""
        control = self._wanted.get(CONTROL)
        due = control is not None and self._mode == Mode.SAFE and CONTROL not in self._overridden
        if due and self._monitor != (control == "monitor"):
            op = Op.MONITOR if control == "monitor" else Op.ENFORCE
            self._intents.append(Intent(op, self._source))
        if not self._intents:
            return ()
        intents, self._intents = tuple(self._intents), []
        return intents

    def watch(self, tick: TickRecord) -> None:
        """Notice what the tick has made of wishes, these and others."""
        if tick.monitor != self._monitor:
            self._news = True
        self._mode, self._monitor = tick.mode, tick.monitor
        for intent in tick.intents:
            ours = intent.source.startswith(f"{OP}:")
            if intent.op in _GOAL_OPS:
                self._goal_was_set(intent, ours=ours)
            elif intent.op in (Op.MONITOR, Op.ENFORCE) and not ours:
                self._overridden.add(CONTROL)
                self._news = True

    def report(self) -> bytes | None:
        """What is reported from now on, if that is new."""
        if not self._news:
            return None
        self._news = False
        site = self._site
        keys = {key: self._goal_state(key, c) for key, c in self._channels.items()}
        keys[CONTROL] = self._control_state()
        keys[RATE] = KeyState(v=self.rate_hz, ac=OK if RATE in self._wanted else None)
        return msgspec.msgpack.encode(
            Reported(boot=site.boot, ver=self._ver, keys=keys, refused=self._refusal)
        )

    def _open(self, sealed: bytes) -> tuple[Desired, str] | str:
        """The signed document, or why it is not worth an answer."""
        opened = open_genuine(self._keyring.keys, self._site.topic, sealed)
        if isinstance(opened, str):
            return opened
        parts, _ = opened
        try:
            return msgspec.msgpack.decode(parts.body, type=Desired), parts.kid
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return "bad_body"

    def _judge(self, body: Desired, kid: str) -> tuple[str, dict[str, KeyState]]:
        """Why the document is refused, empty if it is not, and what is wrong with each key."""
        if body.dev != self._site.device_id:
            return "wrong_device", {}
        if not self._keyring.keys[kid].may(OP, ROLES):
            return "not_authorized", {}
        if self.kept is not None and body.ver <= self.kept.ver:
            return "old_version", {}
        keys = {key: check_key(self._terms, key, value) for key, value in body.set.items()}
        bad = {key: state for key, state in keys.items() if state.ac != OK}
        return ("bad_keys" if bad else ""), bad

    def _resume(self, kept: Kept) -> None:
        """Go on where the last run was, if its document is still good under the present keys."""
        opened = self._open(kept.sealed)
        reason = opened if isinstance(opened, str) else ""
        keys: dict[str, KeyState] = {}
        if not isinstance(opened, str):
            self.kept = None  # it need not be newer than itself
            reason, keys = self._judge(*opened)
            self.kept = kept
            if not reason:
                self._refusal, self._news = None, True
                self._apply(*opened)
                return
        self._refusal = NotApplied(ver=kept.ver, reason=reason, keys=keys)

    def _apply(self, body: Desired, kid: str) -> None:
        before, self._wanted = self._wanted, dict(body.set)
        self._ver = body.ver
        self._source = source_of(OP, kid, body.by)
        if CONTROL in before and CONTROL not in self._wanted:
            self._wanted = {**self._wanted, CONTROL: self._site.control}
        for key, channel in self._channels.items():
            if key in self._wanted:
                self._overridden.discard(key)
                self._intents.append(self._set_goal(key, channel))
            elif key in before and key not in self._overridden:
                self._intents.append(Intent(Op.CLEAR_GOAL, self._source, channel))
        if CONTROL in self._wanted:
            self._overridden.discard(CONTROL)

    def _set_goal(self, key: str, channel: int) -> Intent:
        return Intent(Op.SET_GOAL, self._source, channel, self._counts(key, channel))

    def _counts(self, key: str, channel: int) -> int:
        wanted: float = self._wanted[key]
        return round(wanted * self._site.limits.sensors[channel].counts_per_unit)

    def _goal_was_set(self, intent: Intent, *, ours: bool) -> None:
        key = GOAL + self._site.limits.channel_names[intent.channel]
        if key not in self._channels:
            return
        self._news = True
        band = (intent.counts, intent.high_counts) if intent.op == Op.SET_BAND else (intent.counts,)
        self._goals[intent.channel] = () if intent.op == Op.CLEAR_GOAL else band
        if ours:
            return
        if intent.op != Op.CLEAR_GOAL:
            self._overridden.add(key)
        elif key in self._wanted:  # cleared: the desired one counts again
            self._overridden.discard(key)
            self._intents.append(self._set_goal(key, intent.channel))

    def _goal_state(self, key: str, channel: int) -> KeyState:
        scale = self._site.limits.sensors[channel].counts_per_unit
        goal = self._goals[channel]
        value: float | tuple[float, float] | None = goal[0] / scale if goal else None
        if len(goal) == 2:
            value = goal[0] / scale, goal[1] / scale
        if key not in self._wanted:
            return KeyState(v=value)
        if key in self._overridden:
            return KeyState(v=value, ac=CONFLICT, why="a command has set it since")
        there = goal == (self._counts(key, channel),)
        return KeyState(v=value, ac=OK if there else PENDING)

    def _control_state(self) -> KeyState:
        value = "monitor" if self._monitor else "enforce"
        if CONTROL not in self._wanted:
            return KeyState(v=value)
        if CONTROL in self._overridden:
            return KeyState(v=value, ac=CONFLICT, why="a command has set it since")
        if value == self._wanted[CONTROL]:
            return KeyState(v=value, ac=OK)
        return KeyState(v=value, ac=PENDING, why="when the mode is SAFE")
