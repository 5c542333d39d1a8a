"""The limits that a microcontroller holds: the host's envelope, a stated margin wider.

Owns: the margins, and which parts of an envelope a microcontroller can judge at all. Must
not: know how the limits reach it (safety/header.py writes them, sim hands them over).

The margin is for what differs between the two: their clocks, and when a frame arrives. So
rates and travel are wider and dwells shorter. Ranges, safe values and the closed ends of
exclusives are the host's own: counts are exact, and what lies beyond them no sound host sends.
"""

from dataclasses import replace
from typing import Final

from edge_agent.safety.checks import INT32, PRODUCT_MAX
from edge_agent.safety.limits import ActuatorLimits, Envelope

MARGIN_PERCENT: Final = 20
DEADMAN_MAX_MS: Final = 500
_NS_PER_MS: Final = 1_000_000


def guarded(envelope: Envelope, feedback: tuple[str, ...]) -> Envelope:
    """What the microcontroller that measures `feedback` guards of `envelope`.

    Its sensors are `feedback`, its interlocks those that look at one of them. Not a complete
    envelope: only the parts that the twin in C reads are meant.
    """
    by_name = {sensor.name: sensor for sensor in envelope.sensors}
    return replace(
        envelope,
        sensors=tuple(by_name[name] for name in feedback),
        actuators=tuple(map(_wider, envelope.actuators)),
        interlocks=tuple(lock for lock in envelope.interlocks if lock.sensor in feedback),
    )


def deadman_ms(envelope: Envelope) -> int:
    """The longest silence that no lease forbids, at most DEADMAN_MAX_MS."""
    return min(DEADMAN_MAX_MS, *leases_ms(envelope))


def leases_ms(envelope: Envelope) -> tuple[int, ...]:
    """Per actuator, in whole milliseconds; a longer one than the longest dead man is that."""
    return tuple(min(DEADMAN_MAX_MS, a.lease_ns // _NS_PER_MS) for a in envelope.actuators)


def _wider(limits: ActuatorLimits) -> ActuatorLimits:
    travel = min(_more(limits.travel_max_counts), INT32, PRODUCT_MAX // limits.travel_window_ns)
    return replace(
        limits,
        rate_up_counts_per_s=min(_more(limits.rate_up_counts_per_s), INT32),
        rate_down_counts_per_s=min(_more(limits.rate_down_counts_per_s), INT32),
        travel_max_counts=travel,
        dwell_ns=limits.dwell_ns * (100 - MARGIN_PERCENT) // 100,
    )


def _more(counts: int) -> int:
    return -(-counts * (100 + MARGIN_PERCENT) // 100)
