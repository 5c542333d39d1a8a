"""Totality: an envelope that is incomplete or contradicts itself never loads.

Owns: the list of everything that must hold between the numbers of one envelope. The types
already make a missing field impossible; this makes a senseless one impossible.
"""

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from edge_agent.core.errors import ConfigError
from edge_agent.safety.limits import (
    ActuatorLimits,
    Agreement,
    EffectCheck,
    Envelope,
    Exclusive,
    Interlock,
    OnLinkLoss,
    SensorLimits,
)

# The wire carries actuator counts as int16 (see firmware_bridge/PROTOCOL.md).
INT16 = 32_767
# Every product that the envelope forms must fit the int64 of its twin in C, with room to add.
INT32 = 2**31 - 1
TIME_MAX_NS = 10**15  # 11 days
PRODUCT_MAX = 2**60


def require_sound(envelope: Envelope) -> None:
    """Raise ConfigError naming every contradiction in the envelope."""
    problems = list(_problems(envelope))
    if problems:
        raise ConfigError(
            "; ".join(problems),
            where=f"envelope of {envelope.device}",
            fix="correct the constants in its device module",
        )


def _problems(envelope: Envelope) -> Iterator[str]:
    fractions = list(_not_whole(envelope))
    if fractions:  # NaN and None would slip through, or break, the comparisons below
        yield from fractions
        return
    names = envelope.channel_names
    if len(set(names)) != len(names):
        yield "two channels share a name"
    if not envelope.actuators:
        yield "no actuator"
    for sensor in envelope.sensors:
        yield from _sensor_problems(sensor)
        yield from _agreement_problems(sensor, envelope)
    for actuator in envelope.actuators:
        yield from _actuator_problems(actuator, envelope)
    yield from _relation_problems(envelope)
    rules = envelope.supervision
    if not 1 <= rules.deadline_misses_to_ramp <= rules.deadline_window_ticks:
        yield "deadline budget must be k of n with 1 <= k <= n"
    if rules.hold_limit_ns < 0:
        yield "hold_limit_ns must not be negative"
    if min(rules.return_dwell_ns, rules.trust_dwell_ns) <= 0:
        yield "return_dwell_ns and trust_dwell_ns must be positive"


def _not_whole(envelope: Envelope) -> Iterator[str]:
    parts: list[tuple[str, Any]] = [(s.name, s) for s in envelope.sensors]
    parts += [(a.name, a) for a in envelope.actuators]
    parts += [(f"{a.name}.safe", a.safe) for a in envelope.actuators]
    parts += [(f"{a.name}.follow", a.follow) for a in envelope.actuators]
    parts += [
        (f"{s.name}.agreement", s.agreement)
        for s in envelope.sensors
        if isinstance(s.agreement, Agreement)
    ]
    parts += [
        (f"{a.name}.effect", a.effect)
        for a in envelope.actuators
        if isinstance(a.effect, EffectCheck)
    ]
    parts += [(f"interlock {lock.name}", lock) for lock in envelope.interlocks]
    parts.append(("supervision", envelope.supervision))
    for owner, part in parts:
        for field in fields(part):
            value = getattr(part, field.name)
            if field.type is int and type(value) is not int:
                yield f"{owner}: {field.name} must be a whole number, not {value!r}"
    for lock in envelope.interlocks:
        for name, counts in lock.forces:
            if type(counts) is not int:
                yield f"interlock {lock.name}: {name} must be a whole number, not {counts!r}"


def _sensor_problems(s: SensorLimits) -> Iterator[str]:
    if not -INT32 <= s.min_counts < s.max_counts <= INT32:
        yield f"{s.name}: min_counts must be below max_counts, both in 32 bits"
    if s.counts_per_unit <= 0 or s.max_step_counts <= 0 or s.max_age_ns <= 0:
        yield f"{s.name}: counts_per_unit, max_step_counts and max_age_ns must be positive"
    if s.stuck_after_ns is not None and s.stuck_after_ns <= s.max_age_ns:
        yield f"{s.name}: stuck_after_ns must exceed max_age_ns"


def _agreement_problems(s: SensorLimits, envelope: Envelope) -> Iterator[str]:
    if not isinstance(s.agreement, Agreement):
        if not s.agreement.reason.strip():
            yield f"{s.name}: no agreement and no reason given"
        return
    named = (o for o in envelope.sensors if o.name == s.agreement.sensor and o is not s)
    other = next(named, None)
    if other is None:
        yield f"{s.name}: agreement names the unknown sensor {s.agreement.sensor!r}"
        return
    if (other.unit, other.counts_per_unit) != (s.unit, s.counts_per_unit):
        yield f"{s.name}: agreement needs the same unit and resolution as {other.name}"
    if s.agreement.max_difference_counts < 0 or s.agreement.within_ns <= 0:
        yield f"{s.name}: agreement needs max_difference_counts >= 0 and within_ns > 0"


def _actuator_problems(a: ActuatorLimits, envelope: Envelope) -> Iterator[str]:
    if not -INT16 <= a.min_counts < a.max_counts <= INT16:
        yield f"{a.name}: need -{INT16} <= min_counts < max_counts <= {INT16}"
    if not a.min_counts <= a.safe.counts <= a.max_counts:
        yield f"{a.name}: the safe value is out of range"
    positive = (
        a.counts_per_unit,
        a.rate_up_counts_per_s,
        a.rate_down_counts_per_s,
        a.travel_max_counts,
        a.travel_window_ns,
        a.proposal_max_age_ns,
        a.feedback_max_age_ns,
        a.lease_ns,
        a.safe.ramp_counts_per_s,
    )
    if min(positive) <= 0 or a.safe.hold_ns < 0:
        yield f"{a.name}: rates, travel, ages, lease and ramp must be positive"
    if a.dwell_ns < 0 or a.follow.max_difference_counts < 0 or a.follow.within_ns <= 0:
        yield f"{a.name}: dwell and follow difference must not be negative, follow time positive"
    yield from _size_problems(a)
    if a.on_link_loss is not OnLinkLoss.CONTINUE:
        yield f"{a.name}: on_link_loss {a.on_link_loss} is not acted on by this version"
    if isinstance(a.effect, EffectCheck):
        if a.effect.sensor not in envelope.sensor_index:
            yield f"{a.name}: effect check names the unknown sensor {a.effect.sensor!r}"
        if a.effect.within_ns <= 0 or a.effect.when_at_most >= a.effect.when_at_least:
            yield f"{a.name}: effect check needs within_ns > 0 and when_at_most < when_at_least"
    elif not a.effect.reason.strip():
        yield f"{a.name}: no effect check and no reason given"


def _size_problems(a: ActuatorLimits) -> Iterator[str]:
    """What would not fit the numbers of the twin in C."""
    speeds = a.rate_up_counts_per_s, a.rate_down_counts_per_s, a.safe.ramp_counts_per_s
    times = a.travel_window_ns, a.dwell_ns, a.safe.hold_ns
    if max(speeds) > INT32 or max(times) > TIME_MAX_NS:
        yield f"{a.name}: rates must fit 32 bits and times be at most {TIME_MAX_NS} ns"
    elif a.travel_max_counts * a.travel_window_ns > PRODUCT_MAX:
        yield f"{a.name}: travel_max_counts * travel_window_ns exceeds {PRODUCT_MAX}"
    elif a.travel_max_counts > INT32:
        yield f"{a.name}: travel_max_counts must fit 32 bits"
    elif 2 * (a.max_counts - a.min_counts) * a.travel_window_ns > PRODUCT_MAX:
        # A forced move over the whole range costs this much travel.
        yield f"{a.name}: twice the range * travel_window_ns exceeds {PRODUCT_MAX}"


def _relation_problems(envelope: Envelope) -> Iterator[str]:
    for lock in envelope.interlocks:
        yield from _interlock_problems(lock, envelope)
    forced: dict[str, int] = {}
    for lock in envelope.interlocks:
        for name, counts in lock.forces:
            if forced.setdefault(name, counts) != counts:
                yield f"interlocks force {name} to both {forced[name]} and {counts}"
    for pair in envelope.exclusives:
        yield from _exclusive_problems(pair, envelope)


def _exclusive_problems(pair: Exclusive, envelope: Envelope) -> Iterator[str]:
    label = f"exclusive {pair.first}/{pair.second}"
    known = envelope.actuator_index
    if pair.first == pair.second or not {pair.first, pair.second} <= set(known):
        yield f"{label}: need two known actuators"
        return
    first, second = (envelope.actuators[known[name]] for name in (pair.first, pair.second))
    if first.safe.counts > first.min_counts and second.safe.counts > second.min_counts:
        yield f"{label}: the safe values open both"
    # Interlocks act after the exclusion, so one that opens must itself close the other.
    for lock in envelope.interlocks:
        forces = dict(lock.forces)
        for one, other in ((first, second), (second, first)):
            opens = forces.get(one.name, one.min_counts) > one.min_counts
            if opens and forces.get(other.name) != other.min_counts:
                yield f"{label}: interlock {lock.name} opens {one.name}, not closing {other.name}"


def _interlock_problems(lock: Interlock, envelope: Envelope) -> Iterator[str]:
    if lock.sensor not in envelope.sensor_index:
        yield f"interlock {lock.name}: unknown sensor {lock.sensor!r}"
    else:
        sensor = envelope.sensors[envelope.sensor_index[lock.sensor]]
        if lock.ok_min <= sensor.min_counts and sensor.max_counts <= lock.ok_max:
            yield f"interlock {lock.name}: no value of {lock.sensor} can engage it"
    if not lock.ok_min <= lock.clear_min <= lock.clear_max <= lock.ok_max:
        yield f"interlock {lock.name}: the clear band must lie inside the ok band"
    if min(lock.engage_after_ticks, lock.clear_after_ticks) < 1:
        yield f"interlock {lock.name}: engage_ and clear_after_ticks must be at least 1"
    if max(lock.engage_after_ticks, lock.clear_after_ticks) > INT32:
        yield f"interlock {lock.name}: engage_ and clear_after_ticks must fit 32 bits"
    if max(map(abs, (lock.ok_min, lock.ok_max))) > INT32:
        yield f"interlock {lock.name}: the ok band must fit 32 bits"
    for name, counts in lock.forces:
        if name not in envelope.actuator_index:
            yield f"interlock {lock.name}: unknown actuator {name!r}"
            continue
        limits = envelope.actuators[envelope.actuator_index[name]]
        if not limits.min_counts <= counts <= limits.max_counts:
            yield f"interlock {lock.name}: {counts} is out of range for {name}"
