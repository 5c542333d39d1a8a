"""Config may tighten a limit, never widen one.

Owns: the list of limits that a configuration may touch, in which direction is tighter, and
the refusal of everything else. The result is a new envelope; the compiled one is untouched.
"""

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from edge_agent.core.errors import ConfigError
from edge_agent.safety.checks import require_sound
from edge_agent.safety.limits import ActuatorLimits, Envelope, SensorLimits

# Which way of a limit is the stricter one; its sign decides.
_LARGER: Final = 1
_SMALLER: Final = -1
_SENSOR_LIMITS: Mapping[str, int] = {
    "min_counts": _LARGER,
    "max_counts": _SMALLER,
    "max_step_counts": _SMALLER,
    "max_age_ns": _SMALLER,
}
_ACTUATOR_LIMITS: Mapping[str, int] = {
    "min_counts": _LARGER,
    "max_counts": _SMALLER,
    "rate_up_counts_per_s": _SMALLER,
    "rate_down_counts_per_s": _SMALLER,
    "travel_max_counts": _SMALLER,
    "dwell_ns": _LARGER,
    "proposal_max_age_ns": _SMALLER,
    "feedback_max_age_ns": _SMALLER,
    "lease_ns": _SMALLER,
}

Changes = Mapping[str, Mapping[str, int]]
_Limits = TypeVar("_Limits", SensorLimits, ActuatorLimits)


def tighten(envelope: Envelope, changes: Changes) -> Envelope:
    """`envelope` with the limits in `changes` (channel -> limit -> counts or ns) made stricter.

    Raises ConfigError naming channel, limit and both values when a change would widen, when
    channel or limit is unknown, or when the stricter limits no longer fit together.
    """
    for channel in changes:
        if channel not in envelope.channel_names:
            raise ConfigError(
                f"unknown channel {channel!r}",
                where=f"limits.{channel}",
                fix=_nearest(channel, envelope.channel_names),
            )
    stricter = dataclasses.replace(
        envelope,
        sensors=tuple(
            _stricter(s, changes.get(s.name, {}), _SENSOR_LIMITS) for s in envelope.sensors
        ),
        actuators=tuple(
            _stricter(a, changes.get(a.name, {}), _ACTUATOR_LIMITS) for a in envelope.actuators
        ),
    )
    try:
        require_sound(stricter)
    except ConfigError as error:
        raise ConfigError(
            error.what, where="limits", fix="choose limits that leave the device a safe value"
        ) from error
    return stricter


def _stricter(
    limits: _Limits, changes: Mapping[str, int], directions: Mapping[str, int]
) -> _Limits:
    for name, value in changes.items():
        where = f"limits.{limits.name}.{name}"
        if name not in directions:
            raise ConfigError(
                "this limit cannot be configured", where=where, fix=_nearest(name, directions)
            )
        if type(value) is not int:  # NaN would pass the comparison below
            raise ConfigError(f"{value!r} is not a whole number", where=where, fix="give a number")
        compiled: int = getattr(limits, name)
        if (value - compiled) * directions[name] < 0:
            raise ConfigError(
                f"{value} is wider than the hard-coded {compiled}",
                where=where,
                fix="config may only tighten a limit; remove the line or choose a stricter value",
            )
    replaced: dict[str, Any] = dict(changes)
    return dataclasses.replace(limits, **replaced)


def _nearest(name: str, known: Mapping[str, object] | tuple[str, ...]) -> str:
    best = next(iter(difflib.get_close_matches(name, list(known))), "")
    return f"did you mean {best!r}?" if best else f"one of: {', '.join(known)}"
