"""The tables of a simulated microcontroller: what a generated header says of a real one.

Owns: an envelope, a margin wider, as memory that the device core reads. Must not: choose a
number; safety/margin.py does, for both.
"""

from itertools import accumulate

from edge_agent.safety.limits import ActuatorLimits, Envelope, Motion
from edge_agent.safety.margin import guarded, leases_ms
from firmware_bridge.device import tables
from firmware_bridge.errors import WireValueError
from firmware_bridge.messages import schema_hash


def device_limits(envelope: Envelope, feedback: tuple[str, ...]) -> tables.Limits:
    """Everything but the times of McuSettings; WireValueError when there is no room."""
    held = guarded(envelope, feedback)
    limits = tables.Limits(
        sensors=len(held.sensors),
        actuators=len(held.actuators),
        interlocks=len(held.interlocks),
        forces=sum(len(forces) for _, forces in held.forced),
        exclusives=len(held.exclusives),
        envelope_hash=int(envelope.sha256()[:8], 16),
        schema_hash=schema_hash(tuple(a.name for a in envelope.actuators), feedback),
    )
    _require_room(limits)
    for i, (actuator, motion) in enumerate(zip(held.actuators, held.motions, strict=True)):
        limits.motions[i] = _motion(actuator, motion)
        limits.leases_ms[i] = leases_ms(envelope)[i]
    ends = list(accumulate(len(forces) for _, forces in held.forced))
    for k, lock in enumerate(held.interlocks):
        limits.locks[k] = tables.Interlock(
            lock.ok_min,
            lock.ok_max,
            lock.clear_min,
            lock.clear_max,
            lock.engage_after_ticks,
            lock.clear_after_ticks,
            held.forced[k][0],
            ends[k] - len(lock.forces),
            ends[k],
        )
    for f, force in enumerate(force for _, forces in held.forced for force in forces):
        limits.forced[f] = tables.Force(*force)
    for p, pair in enumerate(held.exclusive_pairs):
        limits.pairs[p] = tables.Exclusive(*pair)
    return limits


def _require_room(limits: tables.Limits) -> None:
    for name, room in (
        ("sensors", tables.SENSORS_ROOM),
        ("actuators", tables.ACTUATORS_ROOM),
        ("interlocks", tables.INTERLOCKS_ROOM),
        ("forces", tables.FORCES_ROOM),
        ("exclusives", tables.EXCLUSIVES_ROOM),
    ):
        if getattr(limits, name) > room:
            raise WireValueError(f"{getattr(limits, name)} {name}; a device has room for {room}")


def _motion(actuator: ActuatorLimits, motion: Motion) -> tables.Motion:
    return tables.Motion(
        actuator.min_counts,
        actuator.max_counts,
        actuator.safe.counts,
        actuator.rate_up_counts_per_s,
        actuator.rate_down_counts_per_s,
        actuator.safe.ramp_counts_per_s,
        actuator.travel_max_counts,
        actuator.travel_window_ns,
        motion.travel_full,
        actuator.dwell_ns,
        actuator.safe.hold_ns,
    )
