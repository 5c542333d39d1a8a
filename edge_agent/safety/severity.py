"""How bad each fault is and what ends it: one row a rule.

Owns: the order of severities, and severity and clear rule of every rule that can be a fact of
the supervisor. Must not: decide a mode; `supervisor.py` does, from these.

A rule without a row trips: what nobody judged counts as the worst. Rules that only shape a
command (range, speed, travel, ...) and those that only inform have none, because they are
never facts.
"""

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import NamedTuple

from edge_agent.core.records import Reason, Rule


class Severity(IntEnum):
    """Worst last; the worst of all facts decides."""

    NOTHING = 0
    HOLD = 1  # outputs stand still; becomes a ramp when the hold is spent
    RAMP = 2  # to safe, at the declared speed
    TRIP = 3  # safe at once, latched


class Clears(IntEnum):
    """What has to happen, once the fault is gone, before a policy decides again."""

    NEXT_TICK = 1  # nothing more, from a hold; from the ramp that it became, DWELL
    DWELL = 2  # everything in order for the whole dwell
    ARM = 3  # a person arms again
    RESET = 4  # a person resets, then arms


class Reaction(NamedTuple):
    """One row."""

    severity: Severity
    clears: Clears


_HOLD = Reaction(Severity.HOLD, Clears.NEXT_TICK)
_RAMP = Reaction(Severity.RAMP, Clears.DWELL)
_TRIP = Reaction(Severity.TRIP, Clears.RESET)

REACTIONS: Mapping[int, Reaction] = MappingProxyType(
    {
        # No usable proposal.
        Rule.NO_MODEL: _HOLD,
        Rule.STALE_INPUT: _HOLD,
        Rule.MISSING_INPUT: _HOLD,
        Rule.INVALID_INPUT: _HOLD,
        Rule.OUTSIDE_TRAINING_RANGE: _HOLD,
        Rule.WRONG_SHAPE: _HOLD,
        Rule.NOT_FINITE: _HOLD,
        Rule.LATE: _HOLD,
        Rule.MODEL_ERROR: _HOLD,
        Rule.SOURCES_DISAGREE: _HOLD,
        Rule.NOT_TRUSTED: _HOLD,
        # Time and hardware.
        Rule.DEADLINE_MISSED: _HOLD,
        Rule.CLOCK_FAULT: _HOLD,  # and a trip on the way to safe, which needs a clock
        Rule.TOO_MANY_MISSES: _RAMP,
        Rule.LINK_LOST: _RAMP,
        # What must not come back by itself.
        Rule.INTERLOCK: _TRIP,
        Rule.EFFECT_MISSING: _TRIP,
        Rule.NOT_FOLLOWED: _TRIP,
        Rule.NOT_EVALUATED: _TRIP,
        Rule.INTERNAL_ERROR: _TRIP,
        Rule.TRIP_UNREADABLE: _TRIP,
        Rule.CRASH_LOOP: _TRIP,
        # What a person wants.
        Rule.DISARM_REQUESTED: Reaction(Severity.RAMP, Clears.ARM),
        Rule.STOP_REQUESTED: _TRIP,
    }
)


def of(fact: Reason | None) -> Severity:
    """How bad a fact is."""
    return Severity.NOTHING if fact is None else REACTIONS.get(fact.rule, _TRIP).severity


def clears(fact: Reason | None) -> Clears:
    """What ends it; nothing has to end for None."""
    return Clears.NEXT_TICK if fact is None else REACTIONS.get(fact.rule, _TRIP).clears


def worst(*facts: Reason | None) -> Reason | None:
    """The worst of the facts, the first of equals; None when there is none."""
    found, most = None, Severity.NOTHING
    for fact in facts:
        if fact is not None:
            severity = of(fact)
            if severity > most:
                found, most = fact, severity
    return found
