"""Composition of what a start finds of the runs before it: a trip, or too many crashes.

Owns: turning quick crashes into a trip, saying both aloud, and refusing the start where the
configuration says so. Must not: arm, or clear anything; `edge-agent reset` does, by a person.

Safe mode is a run with that trip: sensors, status and telemetry, no model, nothing armed. It is
what is left of the program when the rest of it may be what crashes.
"""

import sys
from pathlib import Path

from edge_agent.config import Settings, state_folder
from edge_agent.core.errors import ConfigError
from edge_agent.core.records import Reason, Rule
from edge_agent.service.latch import Trip, keep_trip, latch_path, make_trip, read_trip
from edge_agent.service.starts import StartCount


def is_safe_mode(trip: Trip | None) -> bool:
    """Whether a run with this trip may only watch."""
    return trip is not None and trip.rule == Rule.CRASH_LOOP


def inherited_trip(settings: Settings, starts: StartCount) -> Trip | None:
    """The trip that nobody has reset, or that the crashes before this run are; said aloud.

    ConfigError when it is crashes and `after_crashes` is "stop".
    """
    path = latch_path(state_folder(settings))
    trip = read_trip(path)
    if starts.too_many:
        trip = _trip_of_crashes(settings, starts, path, trip)
    if trip is None:
        return None
    if is_safe_mode(trip) and settings.config.after_crashes == "stop":
        raise ConfigError(
            trip.words, where=str(path), fix="find the cause, then `edge-agent reset`"
        )
    kind = "in safe mode" if is_safe_mode(trip) else "TRIPPED"
    sys.stderr.write(
        f"edge-agent: starts {kind} and cannot be armed: {trip.words} ({trip.utc})\n"
        "  fix: remove the cause, stop this, then `edge-agent reset`\n"
    )
    return trip


def _trip_of_crashes(
    settings: Settings, starts: StartCount, path: Path, before: Trip | None
) -> Trip:
    """A trip like any other, so that it is kept, shown and reset as one."""
    more = "" if before is None else f"; before that, {before.words}"
    cause = Reason(Rule.CRASH_LOOP, -1, starts.crashes)
    trip = make_trip(cause, settings.envelope, "", more)
    if before is not None and is_safe_mode(before):
        trip = before  # safe mode crashes too: the first account of it is the best
    if keep_trip(path, trip):
        starts.ended()  # the trip says it from here on
    return trip
