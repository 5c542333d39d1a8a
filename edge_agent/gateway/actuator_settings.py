"""The `[[mqtt.actuator]]` rows: actuators that hang on the broker, and whether they may.

Owns: the shape of a row, and the checks that make a `Drive` and the decoder of its feedback.
Must not: publish, or accept an actuator that nothing makes safe when we vanish: such a device
has no microcontroller of ours, so its own timeout must end before the envelope's lease does.
Every complaint names the key and the fix.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec

from edge_agent.core.clock import NS_PER_S
from edge_agent.core.errors import ConfigError
from edge_agent.core.fields import linear, place_of, require_range, unknown_name
from edge_agent.core.topics import check_topic
from edge_agent.gateway.actuators import Drive
from edge_agent.gateway.decode import SensorDecoder
from edge_agent.safety.limits import ActuatorLimits, Envelope

_VALUE = "{value}"
# What the device's timeout leaves of the lease is for the way from the decision to the device.
_LEASE_SHARE_MAX = 0.75
_RATE_MIN_PER_S, _RATE_MAX_PER_S = 0.1, 50.0


class MqttActuator(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[mqtt.actuator]]` row. `timeout_s` is the device's own: so long after the last
    command it makes its output safe, whatever became of us.

    `payload` is what is published, with the number in place of `{value}`; a `bool` channel may
    have the words `on` and `off` instead. What `state_topic` reports counts as applied; as for
    a sensor, value = raw * scale + offset, in `unit`, and a command is turned the other way.
    """

    channel: str
    unit: str
    command_topic: str
    state_topic: str
    timeout_s: float
    payload: str = _VALUE
    on: str = ""
    off: str = ""
    state_format: Literal["number", "json", "msgpack"] = "number"
    state_path: str = ""
    scale: float = 1.0
    offset: float = 0.0
    rate_per_s_max: float = 5.0


class Driven(NamedTuple):
    """Every actuator of a device, in its order; empty when another port drives them."""

    drives: tuple[Drive, ...]
    feedback: tuple[SensorDecoder, ...]


def driven(rows: Sequence[MqttActuator], envelope: Envelope) -> Driven:
    """What the rows make of the device; ConfigError for the first thing that cannot work."""
    if not rows:
        return Driven((), ())
    by_name = {row.channel: (number, row) for number, row in enumerate(rows)}
    names = [limits.name for limits in envelope.actuators]
    for number, row in enumerate(rows):
        if row.channel not in names:
            raise unknown_name(row.channel, names, "channel", f"mqtt.actuator[{number}]")
    missing = ", ".join(name for name in names if name not in by_name)
    if missing or len(by_name) != len(rows):
        raise ConfigError(
            f"no row for {missing}" if missing else "a channel has more than one row",
            where="mqtt.actuator",
            fix="write one row for each actuator of the device: all of them hang on the broker,"
            " or none does",
        )
    _check_topics(rows)
    made = []
    for channel, limits in enumerate(envelope.actuators, start=len(envelope.sensors)):
        number, row = by_name[limits.name]
        made.append(_made(row, f"mqtt.actuator[{number}]", channel, limits))
    return Driven(tuple(drive for drive, _ in made), tuple(decoder for _, decoder in made))


def _made(
    row: MqttActuator, where: str, channel: int, limits: ActuatorLimits
) -> tuple[Drive, SensorDecoder]:
    scale, offset = linear(row, limits.unit, where)
    words = _words(row, where, limits)
    require_range(row.rate_per_s_max, _RATE_MIN_PER_S, _RATE_MAX_PER_S, f"{where}.rate_per_s_max")
    timeout_ns = _timeout_ns(row, where, limits)
    drive = Drive(
        name=row.channel,
        topic=row.command_topic,
        payload=row.payload,
        words=words,
        scale=scale,
        offset=offset,
        counts_per_unit=limits.counts_per_unit,
        every_ns=round(NS_PER_S / row.rate_per_s_max),
        refresh_ns=timeout_ns // 3,
        fresh_ns=limits.lease_ns - timeout_ns,
    )
    decoder = SensorDecoder(
        channel=channel,
        name=row.channel,
        topic=row.state_topic,
        form=row.state_format,
        path=place_of(row.state_path, row.state_format, where, "state_"),
        scale=scale,
        offset=offset,
        counts_per_unit=limits.counts_per_unit,
        is_bool=limits.unit == "bool",
        words=words,
    )
    return drive, decoder


def _timeout_ns(row: MqttActuator, where: str, limits: ActuatorLimits) -> int:
    most_s = limits.lease_ns * _LEASE_SHARE_MAX / NS_PER_S
    if not 0 < row.timeout_s <= most_s:
        raise ConfigError(
            f"{row.timeout_s} s is not above 0 and at most {most_s:g} s, three quarters of the"
            " envelope's lease",
            where=f"{where}.timeout_s",
            fix="set the device's own timeout so, and write it here; without one it may not be"
            " driven",
        )
    return int(row.timeout_s * NS_PER_S)


def _words(row: MqttActuator, where: str, limits: ActuatorLimits) -> tuple[str, str] | None:
    """Off and on, where the channel is written in words; None where it is a number."""
    if row.payload.count(_VALUE) != 1:
        raise ConfigError(
            f"must hold {_VALUE} once",
            where=f"{where}.payload",
            fix=f"such as '{_VALUE}', or '{{\"position\": {_VALUE}}}'",
        )
    if not row.on and not row.off:
        return None
    if limits.unit != "bool":
        raise ConfigError(
            f"{row.channel} is measured in {limits.unit}, not on or off",
            where=f"{where}.on",
            fix="remove on and off",
        )
    if not row.on or not row.off or row.on == row.off:
        raise ConfigError(
            "on and off must both be given, and differ",
            where=f"{where}.on",
            fix='such as on = "ON" and off = "OFF"',
        )
    return row.off, row.on


def _check_topics(rows: Sequence[MqttActuator]) -> None:
    """No topic means two things: a device would hear its neighbour, or itself."""
    seen: set[str] = set()
    for number, row in enumerate(rows):
        for key in ("command_topic", "state_topic"):
            topic: str = getattr(row, key)
            where = f"mqtt.actuator[{number}].{key}"
            check_topic(topic, where)
            shared = key == "state_topic" and topic not in {r.command_topic for r in rows}
            if topic in seen and not shared:
                raise ConfigError(
                    f"{topic!r} is used twice", where=where, fix="give it a topic of its own"
                )
            seen.add(topic)
