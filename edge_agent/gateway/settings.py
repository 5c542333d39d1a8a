"""The `[mqtt]` section of the configuration: its shape, and whether it fits the device.

Owns: the structs that the configuration embeds, and `sensor_decoders`, which turns checked
sensor rows into decoders. Must not: read files, or let a row widen a limit of the envelope.
Every complaint names the key and the fix.
"""

import re
from collections.abc import Sequence
from typing import Literal

import msgspec

from edge_agent.core.clock import NS_PER_S
from edge_agent.core.errors import ConfigError
from edge_agent.core.fields import linear, place_of, require_range, unknown_name
from edge_agent.core.topics import check_topic
from edge_agent.gateway.actuator_settings import MqttActuator
from edge_agent.gateway.decode import SensorDecoder
from edge_agent.safety.limits import SensorLimits

_BASE_TOPIC = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*")


class MqttSensor(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"form": "format"}
):
    """One `[[mqtt.sensor]]` row: where a channel's value comes from, and in which unit.

    value = raw * scale + offset, in `unit`; `path` is dotted and selects inside a JSON or
    msgpack document. `max_age_s` may tighten the envelope's limit for the channel.
    """

    channel: str
    topic: str
    unit: str
    form: Literal["number", "json", "msgpack"] = "number"
    path: str = ""
    scale: float = 1.0
    offset: float = 0.0
    max_age_s: float | None = None


class MqttSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[mqtt]` section. `protocol` 3.1.1 is what every broker speaks."""

    host: str = "127.0.0.1"
    port: int = 1883
    username: str = ""
    password_file: str = ""
    client_id: str = ""
    base_topic: str = "edge"
    protocol: Literal["3.1.1", "5"] = "3.1.1"
    keepalive_s: int = 15
    telemetry_rate_hz: float = 1.0
    sensor: tuple[MqttSensor, ...] = ()
    actuator: tuple[MqttActuator, ...] = ()


def sensor_decoders(
    settings: MqttSettings, sensors: Sequence[SensorLimits]
) -> tuple[SensorDecoder, ...]:
    """One decoder per row, in order; ConfigError for the first thing that cannot work.

    `sensors` are the device's sensors in channel order.
    """
    _check_broker(settings)
    by_name = {limits.name: (index, limits) for index, limits in enumerate(sensors)}
    seen: set[str] = set()
    decoders = []
    for number, row in enumerate(settings.sensor):
        where = f"mqtt.sensor[{number}]"
        if row.channel not in by_name:
            raise unknown_name(row.channel, by_name, "channel", where)
        if row.channel in seen:
            raise ConfigError(
                f"channel {row.channel!r} has more than one source",
                where=f"{where}.channel",
                fix="keep one [[mqtt.sensor]] row per channel",
            )
        seen.add(row.channel)
        index, limits = by_name[row.channel]
        decoders.append(_decoder(row, where, index, limits))
    return tuple(decoders)


def _check_broker(settings: MqttSettings) -> None:
    if not settings.host:
        raise ConfigError("is empty", where="mqtt.host", fix="name or address of the broker")
    require_range(settings.port, 1, 65535, "mqtt.port")
    require_range(settings.keepalive_s, 1, 600, "mqtt.keepalive_s")
    require_range(settings.telemetry_rate_hz, 0.01, 20.0, "mqtt.telemetry_rate_hz")
    if _BASE_TOPIC.fullmatch(settings.base_topic) is None:
        raise ConfigError(
            f"{settings.base_topic!r} is not usable as a base topic",
            where="mqtt.base_topic",
            fix="letters, digits, '_' and '-', levels separated by '/', such as 'edge'",
        )
    if settings.password_file and not settings.username:
        raise ConfigError(
            "a password needs a username", where="mqtt.username", fix="set mqtt.username"
        )


def _decoder(row: MqttSensor, where: str, index: int, limits: SensorLimits) -> SensorDecoder:
    check_topic(row.topic, f"{where}.topic")
    scale, offset = linear(row, limits.unit, where)
    _check_age(row.max_age_s, f"{where}.max_age_s", limits)
    return SensorDecoder(
        channel=index,
        name=row.channel,
        topic=row.topic,
        form=row.form,
        path=place_of(row.path, row.form, where),
        scale=scale,
        offset=offset,
        counts_per_unit=limits.counts_per_unit,
        is_bool=limits.unit == "bool",
    )


def _check_age(max_age_s: float | None, where: str, limits: SensorLimits) -> None:
    if max_age_s is None:
        return
    limit_s = limits.max_age_ns / NS_PER_S
    if not 0 < max_age_s <= limit_s:
        raise ConfigError(
            f"{max_age_s} is not within the envelope's 0 to {limit_s:g} s",
            where=where,
            fix=f"a configuration may only tighten: at most {limit_s:g}",
        )
