"""Whether a value that somebody wishes can be: a goal, or an actuator by hand.

Owns: the checks against the envelope at admission, which are for the person: they name the
limit. Must not: be the last word; the agent and the envelope check again, whoever let it through.
"""

import msgspec

from edge_agent.authority.operations import GoalArgs, ManualArgs, Operation
from edge_agent.authority.ruling import Admitted, Refused, Situation, rejected
from edge_agent.core.records import Manual, Mode, Op, Quality
from edge_agent.decision.goals import settable
from edge_agent.safety.limits import ActuatorLimits, Envelope, SensorLimits

_NS_PER_S = 1_000_000_000
_NS_PER_MS = 1_000_000


def goal(limits: Envelope, operation: Operation, args: GoalArgs) -> Refused | Admitted:
    """A goal inside the envelope of its channel."""
    channels = settable(limits)
    sensor = channels.get(args.channel)
    if sensor is None:
        return rejected("bad_args", channel=args.channel, settable=sorted(channels))
    channel = limits.sensor_index[args.channel]
    match args:
        case GoalArgs(value=None, low=msgspec.UNSET, high=msgspec.UNSET):
            return Admitted(operation, args, Op.CLEAR_GOAL, channel)
        case GoalArgs(value=float(value), low=msgspec.UNSET, high=msgspec.UNSET):
            counts = _counts(sensor, value)
            if isinstance(counts, Refused):
                return counts
            return Admitted(operation, args, Op.SET_GOAL, channel, counts)
        case GoalArgs(value=msgspec.UNSET, low=float(low), high=float(high)):
            return _band(operation, args, channel, (_counts(sensor, low), _counts(sensor, high)))
    return rejected("bad_args", needs="value, or low and high")


def _band(
    operation: Operation,
    args: GoalArgs,
    channel: int,
    ends: tuple[int | Refused, int | Refused],
) -> Refused | Admitted:
    """Both ends inside the envelope, and in order."""
    low, high = ends
    if isinstance(low, Refused):
        return low
    if isinstance(high, Refused):
        return high
    if low > high:
        return rejected("bad_args", needs="low that is not above high")
    return Admitted(operation, args, Op.SET_BAND, channel, low, high_counts=high)


def by_hand(
    situation: Situation, operation: Operation, args: ManualArgs, source: str
) -> Refused | Admitted:
    """A value for an actuator that is driven, held by nobody else, and not forced elsewhere."""
    limits = situation.limits
    index = limits.actuator_index.get(args.channel)
    if index is None:
        return rejected("bad_args", channel=args.channel, settable=sorted(limits.actuator_index))
    if situation.monitor_only:
        return rejected("local_control", control="monitor")
    if situation.last is None or situation.last.monitor:
        return rejected("wrong_state", mode=Mode(situation.mode).name, control="monitor")
    counts = _counts(limits.actuators[index], args.value)
    if isinstance(counts, Refused):
        return counts
    channel = len(limits.sensors) + index
    refused = _held(situation.last.manual, channel, source) or _forced(situation, index, counts)
    lease_ns = round(args.lease_s * _NS_PER_S)
    return refused or Admitted(operation, args, Op.MANUAL, channel, counts, lease_ns)


def _counts(limits: SensorLimits | ActuatorLimits, value: float) -> int | Refused:
    """The value in counts; what is no number is in no range."""
    scale = limits.counts_per_unit
    low, high = limits.min_counts / scale, limits.max_counts / scale
    if low <= value <= high:
        return round(value * scale)
    limit = low if value < low else high
    return rejected("envelope", channel=limits.name, limit=limit, value=value, unit=limits.unit)


def _held(manual: tuple[Manual, ...], channel: int, source: str) -> Refused | None:
    """Somebody else's until the lease ends; who that is, and the command to cancel."""
    for held in manual:
        if held.channel == channel and held.source != source:
            left_ms = held.left_ns // _NS_PER_MS
            return rejected("held", by=held.source, id=held.command, left_ms=left_ms)
    return None


def _forced(situation: Situation, index: int, counts: int) -> Refused | None:
    """An interlock whose sensor shows that it holds this actuator somewhere else."""
    limits, last = situation.limits, situation.last
    if last is None:
        return None
    for lock, (sensor, forces) in zip(limits.interlocks, limits.forced, strict=True):
        value = last.snapshot.counts[sensor]
        seen = last.snapshot.qualities[sensor] == Quality.GOOD
        clear = seen and lock.ok_min <= value <= lock.ok_max
        if not clear and any(i == index and counts != forced for i, forced in forces):
            return rejected("interlock", which=lock.name, channel=lock.sensor)
    return None
