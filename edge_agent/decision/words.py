"""Reasons in words: what a rule, a channel and a number mean to a person.

Owns: one sentence per Rule, with the limit it was measured against. Must not: decide, or
look anywhere but at the reason and the envelope, so that the same reason always reads the
same: in the live view, in the status, and in an explanation years later.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from edge_agent.core.records import Mode, Reason, Rule, TickRecord
from edge_agent.safety.limits import ActuatorLimits, Agreement, Envelope, SensorLimits

_NS_PER_S = 1_000_000_000
_NS_PER_MS = 1_000_000


class _Subject(NamedTuple):
    """What a sentence may speak of."""

    reason: Reason
    limits: SensorLimits | ActuatorLimits | None  # of the reason's channel, if it has one
    envelope: Envelope

    @property
    def name(self) -> str:
        if self.limits is not None:
            return self.limits.name
        return "a channel" if self.reason.channel < 0 else f"channel {self.reason.channel}"

    def value(self, counts: int) -> str:
        """`counts` in the channel's unit, with as many digits as the channel resolves."""
        if self.limits is None:
            return f"{counts} counts"
        scale = self.limits.counts_per_unit
        digits = len(str(scale)) - 1
        unit = {"percent": " %", "bool": ""}.get(self.limits.unit, f" {self.limits.unit}")
        return f"{counts / scale:.{digits}f}{unit}"


def explain_reason(reason: Reason, envelope: Envelope) -> str:
    """One clause without a full stop; a rule this version does not know is named by number."""
    channels: tuple[SensorLimits | ActuatorLimits, ...] = (*envelope.sensors, *envelope.actuators)
    limits = channels[reason.channel] if 0 <= reason.channel < len(channels) else None
    if reason.rule not in _SENTENCES:
        return f"rule {reason.rule} on channel {reason.channel} (number {reason.number})"
    return _SENTENCES[Rule(reason.rule)](_Subject(reason, limits, envelope))


def who_decides(tick: TickRecord) -> str:
    """Whose wish the command of this tick follows."""
    if tick.mode != Mode.ACTIVE:
        return "nobody"
    return "model" if tick.fallback is None else "fallback"


def _stale(s: _Subject) -> str:
    age_s = s.reason.number / _NS_PER_S
    if isinstance(s.limits, SensorLimits):
        return f"{s.name} is stale: {age_s:.1f} s old (limit {s.limits.max_age_ns / _NS_PER_S} s)"
    return f"{s.name} is stale: {age_s:.1f} s old"


def _late(s: _Subject) -> str:
    took = f"the proposal took {s.reason.number / _NS_PER_MS:.1f} ms"
    if isinstance(s.limits, ActuatorLimits):
        return f"{took}, {s.name} allows {s.limits.proposal_max_age_ns / _NS_PER_MS:.1f} ms"
    return took


def _above(s: _Subject) -> str:
    wanted = f"{s.name} wanted {s.value(s.reason.number)}"
    return f"{wanted}, above its limit {s.value(s.limits.max_counts)}" if s.limits else wanted


def _below(s: _Subject) -> str:
    wanted = f"{s.name} wanted {s.value(s.reason.number)}"
    return f"{wanted}, below its limit {s.value(s.limits.min_counts)}" if s.limits else wanted


def _rate_up(s: _Subject) -> str:
    rate = s.limits.rate_up_counts_per_s if isinstance(s.limits, ActuatorLimits) else 0
    return f"{s.name} rises to {s.value(s.reason.number)} no faster than {s.value(rate)}/s"


def _rate_down(s: _Subject) -> str:
    rate = s.limits.rate_down_counts_per_s if isinstance(s.limits, ActuatorLimits) else 0
    return f"{s.name} falls to {s.value(s.reason.number)} no faster than {s.value(rate)}/s"


def _travel(s: _Subject) -> str:
    if not isinstance(s.limits, ActuatorLimits):
        return f"{s.name} has moved too much"
    most, window_s = s.limits.travel_max_counts, s.limits.travel_window_ns / _NS_PER_S
    return (
        f"{s.name} may not reach {s.value(s.reason.number)} yet: it moves at most"
        f" {s.value(most)} in {window_s:.0f} s"
    )


def _exclusive(s: _Subject) -> str:
    others = [
        pair.second if pair.first == s.name else pair.first
        for pair in s.envelope.exclusives
        if s.name in (pair.first, pair.second)
    ]
    return f"{s.name} stays shut while {' or '.join(others) or 'another'} is open"


def _interlock(s: _Subject) -> str:
    locks = [lock for lock in s.envelope.interlocks if lock.sensor == s.name]
    names = " and ".join(lock.name for lock in locks)
    forced = ", ".join(f"{name} to {_forced(s, name, n)}" for k in locks for name, n in k.forces)
    return f"interlock {names}: {s.name} is {s.value(s.reason.number)}, forces {forced}"


def _forced(s: _Subject, name: str, counts: int) -> str:
    actuator = s.envelope.actuators[s.envelope.actuator_index[name]]
    return s._replace(limits=actuator).value(counts)


def _invalid(s: _Subject) -> str:
    # One rule covers whatever a sample may have against it; the readings say which.
    return f"{s.name} is invalid, jumped or stuck (last good value {s.value(s.reason.number)})"


def _link_lost(s: _Subject) -> str:
    age_s = s.reason.number / _NS_PER_S
    return f"the hardware does not obey on {s.name} (last word {age_s:.1f} s ago)"


def _not_finite(s: _Subject) -> str:
    return f"the model's value for {s.name} is not a finite number"


def _wrong_shape(s: _Subject) -> str:
    if s.reason.channel < 0:
        return f"the model did not give {len(s.envelope.actuators)} values, one per actuator"
    return f"the model's value for {s.name} is not a number"


def _effect(s: _Subject) -> str:
    return f"{s.name} was commanded but shows no effect (its sensor reads {s.reason.number} counts)"


def _dwell(s: _Subject) -> str:
    return f"{s.name} was changed too lately: it rests another {s.reason.number / _NS_PER_S:.1f} s"


def _disagree(s: _Subject) -> str:
    other = ""
    if isinstance(s.limits, SensorLimits) and isinstance(s.limits.agreement, Agreement):
        other = f" and {s.limits.agreement.sensor}"
    return f"{s.name}{other or ' and another'} should agree: {s.value(s.reason.number)} apart"


def _not_followed(s: _Subject) -> str:
    return f"{s.name} does not follow: the hardware applies {s.value(s.reason.number)}"


def _missed(s: _Subject) -> str:
    return f"a deadline was missed: {s.reason.number / _NS_PER_MS:.1f} ms since the last tick"


def _by_hand(s: _Subject) -> str:
    return f"a person holds {s.name} for another {s.reason.number / _NS_PER_S:.1f} s"


_SENTENCES: Mapping[Rule, Callable[[_Subject], str]] = MappingProxyType(
    {
        Rule.NO_MODEL: lambda s: "there is no model",
        Rule.STALE_INPUT: _stale,
        Rule.MISSING_INPUT: lambda s: f"{s.name} has never been seen",
        Rule.INVALID_INPUT: _invalid,
        Rule.OUTSIDE_TRAINING_RANGE: lambda s: (
            f"feature {s.reason.number} is outside the range the model was trained on"
        ),
        Rule.SOURCES_DISAGREE: _disagree,
        Rule.NOT_TRUSTED: lambda s: (
            "the fallback decides: the model must be in order for another"
            f" {s.reason.number / _NS_PER_S:.1f} s"
        ),
        Rule.WRONG_SHAPE: _wrong_shape,
        Rule.NOT_FINITE: _not_finite,
        Rule.LATE: _late,
        Rule.MODEL_ERROR: lambda s: "the model failed to run",
        Rule.ABOVE_MAX: _above,
        Rule.BELOW_MIN: _below,
        Rule.RATE_UP: _rate_up,
        Rule.RATE_DOWN: _rate_down,
        Rule.TRAVEL: _travel,
        Rule.EXCLUSIVE: _exclusive,
        Rule.INTERLOCK: _interlock,
        Rule.DWELL: _dwell,
        Rule.BY_HAND: _by_hand,
        Rule.NOT_ARMED: lambda s: "armed, waiting for inputs and hardware",
        Rule.DEADLINE_MISSED: _missed,
        Rule.TOO_MANY_MISSES: lambda s: (
            f"{s.reason.number} of the last ticks missed their deadline"
        ),
        Rule.CLOCK_FAULT: lambda s: f"the clock did not advance ({s.reason.number} ns)",
        Rule.LINK_LOST: _link_lost,
        Rule.EFFECT_MISSING: _effect,
        Rule.NOT_FOLLOWED: _not_followed,
        Rule.NOT_EVALUATED: lambda s: "a check was not evaluated, which counts as failed",
        Rule.TRIP_UNREADABLE: lambda s: (
            "the record of the last trip cannot be read, which counts as a trip"
        ),
        Rule.CRASH_LOOP: lambda s: (
            f"the program crashed {s.reason.number} times at once: it only watches"
        ),
        Rule.INTERNAL_ERROR: lambda s: (
            f"internal error: {s.name} came out at {s.value(s.reason.number)}"
        ),
        Rule.STOP_REQUESTED: lambda s: "a person requested a stop",
        Rule.DISARM_REQUESTED: lambda s: "a person disarmed it",
    }
)
