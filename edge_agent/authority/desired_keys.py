"""What may be desired, key by key, and within which bounds.

Owns: the keys and their checks. Must not: know versions, signatures or an agent.
"""

import math
from collections.abc import Mapping
from typing import Final, NamedTuple

from edge_agent.authority.documents import KeyState
from edge_agent.safety.limits import Envelope

GOAL: Final = "goal."  # and a channel that takes a goal: a value in its unit
CONTROL: Final = "control"
RATE: Final = "telemetry_rate_hz"
RATE_HZ: Final = (0.01, 20.0)  # least and most
OK, PENDING, OUTSIDE, CONFLICT, BAD = 200, 202, 400, 409, 422


class Terms(NamedTuple):
    """What the checks may know: limits, the keys that are goals, and what is configured."""

    limits: Envelope
    goals: Mapping[str, int]  # key -> channel
    control: str
    local_only: frozenset[str]


def check_key(terms: Terms, key: str, value: float | str | None) -> KeyState:
    """Whether one wish can be followed; `ac` is OK if so."""
    operation = "mode" if key == CONTROL else "set-goal" if key in terms.goals else ""
    if operation in terms.local_only:
        return KeyState(v=value, ac=CONFLICT, why="local_control: nobody afar may set it")
    if key == CONTROL:
        return _control(terms, value)
    if key != RATE and key not in terms.goals:
        return KeyState(v=value, ac=BAD, why="no such key")
    if isinstance(value, str) or value is None or not math.isfinite(value):
        return KeyState(v=None, ac=BAD, why="must be a number")
    return _number(terms, key, value)


def _number(terms: Terms, key: str, value: float) -> KeyState:
    if key == RATE:
        low, high = RATE_HZ
        good = low <= value <= high
        return KeyState(v=value, ac=OK if good else BAD, why="" if good else f"{low} to {high}")
    sensor = terms.limits.sensors[terms.goals[key]]
    low, high = (n / sensor.counts_per_unit for n in (sensor.min_counts, sensor.max_counts))
    if low <= value <= high:
        return KeyState(v=value, ac=OK)
    return KeyState(v=value, ac=OUTSIDE, why=f"envelope: {low:g} to {high:g} {sensor.unit}")


def _control(terms: Terms, value: float | str | None) -> KeyState:
    if value not in ("monitor", "enforce"):
        return KeyState(v=value, ac=BAD, why="monitor or enforce")
    if value == "enforce" and terms.control == "monitor":
        return KeyState(v=value, ac=CONFLICT, why="local_control: configured as monitor")
    return KeyState(v=value, ac=OK)
