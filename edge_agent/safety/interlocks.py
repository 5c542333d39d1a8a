"""Interlocks: a seen value out of its band, or one that cannot be seen, forces actuators.

Owns: which interlocks are engaged, and since how many ticks they might change. Must not: move
an actuator; the envelope applies what is engaged here.

The whole memory of one interlock is one integer n. At 0 and above it is released, and n ticks
in a row were out of band. Below 0 it is engaged, and -n more ticks inside the clear band
release it. So a released interlock needs `engage_after_ticks` bad ticks, an engaged one
`clear_after_ticks` good ones in a stricter band, and a value that is not GOOD engages at once.
"""

from edge_agent.core.records import Quality, Reason, Rule, Snapshot
from edge_agent.safety.limits import Envelope

_GOOD = int(Quality.GOOD)
_INTERLOCK = int(Rule.INTERLOCK)


def initial(envelope: Envelope) -> tuple[int, ...]:
    """At boot every interlock is engaged until its sensor shows otherwise."""
    return tuple(-lock.clear_after_ticks for lock in envelope.interlocks)


def advance(envelope: Envelope, locks: tuple[int, ...], snapshot: Snapshot) -> tuple[int, ...]:
    """The memory of every interlock after this tick."""
    qualities, values = snapshot.qualities, snapshot.counts
    after = []
    for k, lock in enumerate(envelope.interlocks):
        n, sensor = locks[k], envelope.forced[k][0]
        value = values[sensor]
        if qualities[sensor] != _GOOD:
            n = -lock.clear_after_ticks
        elif n < 0:  # engaged
            n = n + 1 if lock.clear_min <= value <= lock.clear_max else -lock.clear_after_ticks
        elif lock.ok_min <= value <= lock.ok_max:
            n = 0
        else:
            n = n + 1 if n + 1 < lock.engage_after_ticks else -lock.clear_after_ticks
        after.append(n)
    return tuple(after)


def tripped(envelope: Envelope, locks: tuple[int, ...], snapshot: Snapshot) -> Reason | None:
    """The first interlock that latches and is engaged, after this tick, by a value it sees.

    One engaged because it sees nothing does not latch: the lost input itself acts.
    """
    for k, lock in enumerate(envelope.interlocks):
        if lock.trips and locks[k] < 0:
            sensor = envelope.forced[k][0]
            value = snapshot.counts[sensor]
            if snapshot.qualities[sensor] == _GOOD and not lock.ok_min <= value <= lock.ok_max:
                return Reason(_INTERLOCK, sensor, value)
    return None


def force(
    envelope: Envelope, locks: tuple[int, ...], snapshot: Snapshot, command: list[int]
) -> list[Reason]:
    """Put what the engaged interlocks demand into `command`; the reasons for what changed."""
    reasons = []
    for k, (sensor, forces) in enumerate(envelope.forced):
        if locks[k] < 0:
            for i, counts in forces:
                if command[i] != counts:
                    reasons.append(Reason(_INTERLOCK, sensor, snapshot.counts[sensor]))
                    command[i] = counts
    return reasons
