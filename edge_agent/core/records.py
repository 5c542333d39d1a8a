"""The frozen records that cross every boundary of the agent, and their integer codes.

Owns: Reading, Snapshot, Proposal, Verdict, Intent, TickRecord and the enumerations they carry.
Must not: hold behaviour, read a clock, or import anything above L0.

Why integers: everything from the gate to the wire is *counts* (units of a channel's
resolution), so Python, C, every CPU and a replay agree bit for bit. Channels are numbered by
position: a device's sensors first, then its actuators; for an actuator channel a Reading is
the value that the hardware reports as applied.

Records are array-like msgspec structs: 44 ns to build and encoded as plain msgpack arrays, so
a tick costs microseconds and the recording is readable by any msgpack library.
"""

from enum import IntEnum

import msgspec


class Quality(IntEnum):
    """How far a channel's value may be trusted right now."""

    GOOD = 0
    STALE = 1
    MISSING = 2
    INVALID = 3


class Mode(IntEnum):
    """State of the supervisor; see `edge_agent.safety.supervisor` for the transitions."""

    SAFE = 0
    ARMING = 1
    ACTIVE = 2
    HOLDING = 3
    RAMPING = 4
    TRIPPED = 5


class Rule(IntEnum):
    """Which rule fired. The number is on the wire and in recordings: never renumber."""

    # No usable proposal.
    NO_MODEL = 1
    STALE_INPUT = 2
    MISSING_INPUT = 3
    INVALID_INPUT = 4
    OUTSIDE_TRAINING_RANGE = 5
    WRONG_SHAPE = 6
    NOT_FINITE = 7
    LATE = 8
    MODEL_ERROR = 9
    SOURCES_DISAGREE = 10
    NOT_TRUSTED = 11
    # A proposal that the envelope changed.
    ABOVE_MAX = 20
    BELOW_MIN = 21
    RATE_UP = 22
    RATE_DOWN = 23
    TRAVEL = 24
    EXCLUSIVE = 25
    INTERLOCK = 26
    DWELL = 27
    # A wish that took the place of the policy's.
    BY_HAND = 30
    # Facts that decide the mode.
    NOT_ARMED = 40
    DEADLINE_MISSED = 41
    CLOCK_FAULT = 42
    LINK_LOST = 43
    EFFECT_MISSING = 44
    INTERNAL_ERROR = 45
    STOP_REQUESTED = 46
    DISARM_REQUESTED = 47
    NOT_EVALUATED = 48
    NOT_FOLLOWED = 49
    TOO_MANY_MISSES = 50
    TRIP_UNREADABLE = 51
    CRASH_LOOP = 52


class Op(IntEnum):
    """What an Intent asks for."""

    ARM = 1
    DISARM = 2
    STOP = 3
    RESET = 4
    SET_GOAL = 5
    CLEAR_GOAL = 6
    MONITOR = 7
    ENFORCE = 8
    MANUAL = 9
    RELEASE = 10
    SET_BAND = 11


class Reading(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One sample of one channel.

    `counts` is meaningful only when `quality` is GOOD; `stamp_ns` is the monotonic time at
    which the value was measured, not when it arrived.
    """

    channel: int
    counts: int
    stamp_ns: int
    quality: int


class Snapshot(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Every channel at one instant: three tuples of equal length, indexed by channel."""

    counts: tuple[int, ...]
    ages_ns: tuple[int, ...]
    qualities: tuple[int, ...]


class Reason(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Why a tick did not simply pass the proposal on.

    `number` is the figure that triggered the rule (counts, or nanoseconds for ages and
    deadlines); `channel` is -1 when no single channel is concerned.
    """

    rule: int
    channel: int = -1
    number: int = 0


class Proposal(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the policy wants: one float per actuator in the actuator's unit.

    `values` is None when there is no proposal, and then `reasons` says why. `elapsed_ns` is
    the measured inference time; it is an input of the decision, so replay feeds it back.
    """

    values: tuple[float, ...] | None
    elapsed_ns: int = 0
    reasons: tuple[Reason, ...] = ()


class Verdict(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The envelope's answer: a complete command in counts, and every reason for it."""

    command: tuple[int, ...]
    reasons: tuple[Reason, ...] = ()


class Command(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a port is told each tick: counts for every actuator, always complete.

    `armed` is whether the hardware may leave its own safe state; when it is False the
    counts are the safe values.
    """

    counts: tuple[int, ...]
    armed: bool


class Intent(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A wish from outside, already authorised; checked again inside. `channel` and `counts` are
    for operations that set something, `lease_ns` for how long it lasts, `high_counts` for the upper
    end of a band that begins at `counts`; `command` is the id of the command that it came with,
    empty without one."""

    op: int
    source: str = "local"
    channel: int = -1
    counts: int = 0
    lease_ns: int = 0
    command: str = ""
    high_counts: int = 0


class Manual(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A value that a person holds on an actuator, in the place of the policy's."""

    channel: int
    counts: int
    source: str
    command: str  # its id
    left_ns: int  # of the lease, after this tick began


class TickRecord(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Everything of one tick: its inputs, every stage, and what was sent.

    `features` is empty when an input kept the policy from being asked. `cause` is the root
    cause of the present stop, None while nothing is wrong. `proposal` is always the model's;
    `fallback` is what the fallback wanted instead, None unless it stood in. `monitor` is True
    when the verdict was worked out and not sent: the hardware stays unarmed and safe. `manual`
    is what people hold.
    """

    tick: int
    now_ns: int
    readings: tuple[Reading, ...]
    intents: tuple[Intent, ...]
    snapshot: Snapshot
    features: tuple[float, ...]
    proposal: Proposal
    verdict: Verdict
    mode: int
    cause: Reason | None
    fallback: tuple[float, ...] | None = None
    monitor: bool = False
    manual: tuple[Manual, ...] = ()
