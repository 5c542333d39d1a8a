"""The table of operations: who may ask for what, in which mode, and when it is done.

Owns: one row per operation. Must not: act: an operation is an intent for the agent, which
judges again, or an answer about what is known.
"""

from collections.abc import Callable, Mapping
from enum import Enum, auto
from types import MappingProxyType
from typing import Annotated, Final, Literal, NamedTuple

import msgspec

from edge_agent.core.records import Intent, Mode, Op, Quality, TickRecord
from edge_agent.decision.manual import MAX_LEASE_NS

_S: Final = 1_000_000_000
_DRIVEN: Final = frozenset({int(Mode.ACTIVE), int(Mode.HOLDING)})


class NoArgs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For operations that need nothing."""


class ArmArgs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Within which time the device must be ready; it is disarmed again otherwise."""

    within_s: Annotated[float, msgspec.Meta(gt=0, le=60)] = 10.0


class QueryArgs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which command to tell about."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class GoalArgs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A wish for a channel in its unit: either a `value`, where null clears the goal, or a band
    from `low` to `high`."""

    channel: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    value: float | msgspec.UnsetType | None = msgspec.UNSET
    low: float | msgspec.UnsetType = msgspec.UNSET
    high: float | msgspec.UnsetType = msgspec.UNSET


class ModeArgs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether what is decided is also driven."""

    control: Literal["monitor", "enforce"]


class CancelArgs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which command to end before it is done."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class ManualArgs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A value for an actuator in its unit, and for how many seconds it is held. Longer: renew it
    with another command."""

    channel: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    value: float
    lease_s: Annotated[float, msgspec.Meta(gt=0, le=MAX_LEASE_NS // _S)]


Args = NoArgs | ArmArgs | QueryArgs | GoalArgs | ManualArgs | CancelArgs | ModeArgs


class Progress(Enum):
    """What a tick has made of an operation."""

    DONE = auto()
    UNDER_WAY = auto()
    NOT_TAKEN = auto()
    LAPSED = auto()  # a lease, by itself or by its renewal; if it had begun, that is its end
    ENDED = auto()  # a lease, by a change of the mode


def _by_mode(operation: "Operation", _intent: Intent, tick: TickRecord) -> Progress:
    if tick.mode in operation.ends_in:
        return Progress.DONE
    return Progress.UNDER_WAY if tick.mode in operation.goes_through else Progress.NOT_TAKEN


def _by_value(_operation: "Operation", intent: Intent, tick: TickRecord) -> Progress:
    """A large step is believed at its second sample, as from a sensor."""
    snapshot, c = tick.snapshot, intent.channel
    low, high = intent.counts, intent.high_counts if intent.op == Op.SET_BAND else intent.counts
    shown = low <= snapshot.counts[c] <= high and snapshot.qualities[c] == Quality.GOOD
    return Progress.DONE if intent.op == Op.CLEAR_GOAL or shown else Progress.UNDER_WAY


def _by_control(_operation: "Operation", intent: Intent, tick: TickRecord) -> Progress:
    taken = tick.monitor == (intent.op == Op.MONITOR)
    return Progress.DONE if taken else Progress.NOT_TAKEN


def _by_lease(_operation: "Operation", intent: Intent, tick: TickRecord) -> Progress:
    if any(held.command == intent.command for held in tick.manual):
        return Progress.UNDER_WAY
    return Progress.LAPSED if tick.mode in _DRIVEN else Progress.ENDED


class Operation(NamedTuple):
    """One row. `intent` None: it is answered at once and nothing changes."""

    roles: frozenset[str]
    args: type[Args]
    intent: Op | None = None
    starts_in: frozenset[int] = frozenset(Mode)
    goes_through: frozenset[int] = frozenset()  # not done yet, and on the way
    ends_in: frozenset[int] = frozenset()
    within_ns: int = _S
    take_back: Op | None = None  # undoes what began and did not get there
    progress: Callable[["Operation", Intent, TickRecord], Progress] = _by_mode


_CMD: Final = frozenset({"cmd"})
_STOP: Final = frozenset({"cmd", "stop"})

OPERATIONS: Mapping[str, Operation] = MappingProxyType(
    {
        "ping": Operation(_STOP, NoArgs),
        "query": Operation(_STOP, QueryArgs),
        "cancel": Operation(_CMD, CancelArgs),
        "arm": Operation(
            _CMD,
            ArmArgs,
            Op.ARM,
            starts_in=frozenset({Mode.SAFE, Mode.ARMING, Mode.ACTIVE, Mode.HOLDING}),
            goes_through=frozenset({Mode.ARMING, Mode.HOLDING}),
            ends_in=frozenset({Mode.ACTIVE}),
            take_back=Op.DISARM,
        ),
        "disarm": Operation(
            _STOP,
            NoArgs,
            Op.DISARM,
            goes_through=frozenset({Mode.RAMPING}),
            ends_in=frozenset({Mode.SAFE, Mode.TRIPPED}),
            within_ns=120 * _S,
        ),
        "stop": Operation(_STOP, NoArgs, Op.STOP, ends_in=frozenset({Mode.TRIPPED})),
        "set-goal": Operation(_CMD, GoalArgs, Op.SET_GOAL, progress=_by_value),
        "manual": Operation(
            _CMD,
            ManualArgs,
            Op.MANUAL,
            starts_in=frozenset({Mode.ACTIVE}),
            take_back=Op.RELEASE,
            progress=_by_lease,
        ),
        "mode": Operation(
            _CMD,
            ModeArgs,
            Op.MONITOR,
            starts_in=frozenset({Mode.SAFE}),
            progress=_by_control,
        ),
        "reset": Operation(
            _CMD,
            NoArgs,
            Op.RESET,
            starts_in=frozenset({Mode.TRIPPED}),
            ends_in=frozenset({Mode.SAFE}),
        ),
    }
)

# What makes a device safe, or only tells, is never refused to everybody.
CAN_BE_LOCAL_ONLY: Final = frozenset(
    name
    for name, operation in OPERATIONS.items()
    if operation.intent not in (None, Op.DISARM, Op.STOP)
)


def decode_args(operation: Operation, raw: bytes | memoryview) -> Args | None:
    """The arguments; None when they are not this operation's."""
    try:
        return msgspec.msgpack.decode(raw, type=operation.args)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
