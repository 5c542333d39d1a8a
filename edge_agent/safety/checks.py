"""Totality: an envelope that is incomplete or contradicts itself never loads.

Owns: the list of everything that must hold between the numbers of one envelope. The types
already make a missing field impossible; this makes a senseless one impossible.
"""

from collections.abc import Iterator

from edge_agent.core.errors import ConfigError
from edge_agent.safety.limits import ActuatorLimits, EffectCheck, Envelope, SensorLimits

# The wire carries actuator counts as int16 (see firmware_bridge/PROTOCOL.md).
INT16 = 32_767


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
    names = envelope.channel_names
    if len(set(names)) != len(names):
        yield "two channels share a name"
    if not envelope.actuators:
        yield "no actuator"
    for sensor in envelope.sensors:
        yield from _sensor_problems(sensor)
    for actuator in envelope.actuators:
        yield from _actuator_problems(actuator, envelope)
    yield from _relation_problems(envelope)
    rules = envelope.supervision
    if not 1 <= rules.deadline_misses_to_ramp <= rules.deadline_window_ticks:
        yield "deadline budget must be k of n with 1 <= k <= n"
    if rules.hold_limit_ns < 0 or rules.return_dwell_ns <= 0:
        yield "hold_limit_ns must not be negative and return_dwell_ns must be positive"


def _sensor_problems(s: SensorLimits) -> Iterator[str]:
    if not s.min_counts < s.max_counts:
        yield f"{s.name}: min_counts must be below max_counts"
    if s.counts_per_unit <= 0 or s.max_step_counts <= 0 or s.max_age_ns <= 0:
        yield f"{s.name}: counts_per_unit, max_step_counts and max_age_ns must be positive"
    if s.stuck_after_ns is not None and s.stuck_after_ns <= s.max_age_ns:
        yield f"{s.name}: stuck_after_ns must exceed max_age_ns"


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
    if isinstance(a.effect, EffectCheck):
        if a.effect.sensor not in envelope.sensor_index:
            yield f"{a.name}: effect check names the unknown sensor {a.effect.sensor!r}"
    elif not a.effect.reason.strip():
        yield f"{a.name}: no effect check and no reason given"


def _relation_problems(envelope: Envelope) -> Iterator[str]:
    for lock in envelope.interlocks:
        if lock.sensor not in envelope.sensor_index:
            yield f"interlock {lock.name}: unknown sensor {lock.sensor!r}"
        if not lock.ok_min <= lock.clear_min <= lock.clear_max <= lock.ok_max:
            yield f"interlock {lock.name}: the clear band must lie inside the ok band"
        for name, counts in lock.forces:
            if name not in envelope.actuator_index:
                yield f"interlock {lock.name}: unknown actuator {name!r}"
                continue
            limits = envelope.actuators[envelope.actuator_index[name]]
            if not limits.min_counts <= counts <= limits.max_counts:
                yield f"interlock {lock.name}: {counts} is out of range for {name}"
    for pair in envelope.exclusives:
        if pair.first == pair.second or not {pair.first, pair.second} <= set(
            envelope.actuator_index
        ):
            yield f"exclusive {pair.first}/{pair.second}: need two known actuators"
