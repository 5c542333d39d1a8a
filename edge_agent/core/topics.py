"""What the name of an MQTT topic must be, wherever a configuration gives one."""

from typing import Final

from edge_agent.core.errors import ConfigError

_BYTES_MAX: Final = 1024


def check_topic(topic: str, where: str) -> None:
    """ConfigError unless it is one topic, whole, that a broker takes."""
    if "+" in topic or "#" in topic:
        raise ConfigError(
            f"{topic!r} has a wildcard; a channel has exactly one source",
            where=where,
            fix="write the full topic",
        )
    if not topic or "\0" in topic or len(topic.encode()) > _BYTES_MAX:
        raise ConfigError(
            f"must have 1 to {_BYTES_MAX} bytes and no NUL",
            where=where,
            fix="such as 'building/ahu1/supply_temperature'",
        )
