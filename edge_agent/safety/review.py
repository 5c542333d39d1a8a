"""Limits that are sound and yet protect nothing, or leave nothing to do.

Owns: the warnings of `edge-agent envelope check`. Must not: refuse; `checks.py` refuses what is
wrong. What is found here may be meant, and a reviewer should know it was.
"""

from collections.abc import Iterator

from edge_agent.safety.limits import (
    ActuatorLimits,
    EffectCheck,
    Envelope,
    Interlock,
    SensorLimits,
)

_NS_PER_S = 1_000_000_000
# The longest step that earns movement, and a usual period of control: 10 Hz.
_PERIOD_NS = _NS_PER_S // 10
_INT16 = 32_767


def warnings(envelope: Envelope) -> list[str]:
    """Every limit that can never intervene, or that always would, in words."""
    return [
        *(words for a in envelope.actuators for words in _actuator(a, envelope)),
        *(words for s in envelope.sensors for words in _sensor(s)),
        *(words for lock in envelope.interlocks for words in _interlock(lock, envelope)),
        *_supervision(envelope),
    ]


def _actuator(a: ActuatorLimits, envelope: Envelope) -> Iterator[str]:
    span = a.max_counts - a.min_counts
    rates = (("up", a.rate_up_counts_per_s), ("down", a.rate_down_counts_per_s))
    for name, rate in rates:
        if rate * _PERIOD_NS >= span * _NS_PER_S:
            yield f"{a.name}: rate {name} never limits: the full range takes one period of 0.1 s"
        if rate * a.travel_window_ns < _NS_PER_S:
            yield f"{a.name}: rate {name} always limits: not one count in its travel window"
    fastest = max(rate for _, rate in rates)
    if a.travel_max_counts * _NS_PER_S >= 2 * fastest * a.travel_window_ns:
        yield f"{a.name}: travel never limits: at full speed its window uses less than the budget"
    if a.travel_max_counts < 2 * span:
        yield f"{a.name}: travel always limits: half its budget is less than one full stroke"
    if a.safe.ramp_counts_per_s * a.lease_ns >= span * _NS_PER_S and a.safe.hold_ns == 0:
        yield f"{a.name}: the safe ramp is a jump: the full range takes less than one lease"
    if a.proposal_max_age_ns > a.lease_ns:
        yield f"{a.name}: a proposal may be older than the hardware keeps a value"
    if a.follow.max_difference_counts >= span:
        yield f"{a.name}: the comparison with what is applied can never fail"
    if isinstance(a.effect, EffectCheck) and a.effect.sensor in envelope.sensor_index:
        sensor = envelope.sensors[envelope.sensor_index[a.effect.sensor]]
        yield from _effect(a, a.effect, sensor)


def _effect(a: ActuatorLimits, check: EffectCheck, sensor: SensorLimits) -> Iterator[str]:
    if not a.min_counts <= check.when_at_least <= a.max_counts:
        yield f"{a.name}: no command reaches its effect check's when_at_least"
    if not a.min_counts <= check.when_at_most <= a.max_counts:
        yield f"{a.name}: no command reaches its effect check's when_at_most"
    if check.expect_at_least <= sensor.min_counts:
        yield f"{a.name}: the effect expected of {sensor.name} is always there (expect_at_least)"
    if check.expect_at_most >= sensor.max_counts:
        yield f"{a.name}: the effect expected of {sensor.name} is always there (expect_at_most)"
    if check.expect_at_least > sensor.max_counts or check.expect_at_most < sensor.min_counts:
        yield f"{a.name}: the effect expected of {sensor.name} is outside what is plausible"


def _sensor(s: SensorLimits) -> Iterator[str]:
    if max(-s.min_counts, s.max_counts) > _INT16:
        yield f"{s.name}: its plausible range does not fit the 16 bits of the wire"
    # A switch has one step, and it is the whole range.
    if s.max_step_counts >= s.max_counts - s.min_counts > 1:
        yield f"{s.name}: no step within its range is too large"
    if s.unit == "degC" and s.min_counts < -273 * s.counts_per_unit - s.counts_per_unit:
        yield f"{s.name}: its plausible range goes below absolute zero"


def _interlock(lock: Interlock, envelope: Envelope) -> Iterator[str]:
    sensor = envelope.sensors[envelope.sensor_index[lock.sensor]]
    if lock.ok_max < sensor.min_counts or lock.ok_min > sensor.max_counts:
        yield f"interlock {lock.name} is always engaged: no plausible {lock.sensor} is in its band"
    elif lock.clear_max < sensor.min_counts or lock.clear_min > sensor.max_counts:
        yield f"interlock {lock.name} never clears: no plausible {lock.sensor} is in its clear band"
    elif (lock.clear_min, lock.clear_max) == (lock.ok_min, lock.ok_max) and (
        sensor.max_counts - sensor.min_counts > 1
    ):
        yield f"interlock {lock.name} has no hysteresis: it may chatter"
    if not lock.forces:
        yield f"interlock {lock.name} forces nothing"


def _supervision(envelope: Envelope) -> Iterator[str]:
    rules = envelope.supervision
    if rules.hold_limit_ns == 0:
        yield "supervision: one missing decision makes everything safe (hold_limit_ns is 0)"
    shortest = min(a.feedback_max_age_ns for a in envelope.actuators)
    if rules.return_dwell_ns < shortest:
        yield "supervision: control may return before a lost link would be noticed"
