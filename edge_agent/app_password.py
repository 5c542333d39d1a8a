"""The brokers' passwords.

Owns: reading each from its file. Must not: keep it, print it, or import the gateway's room: `run`
asks whether the file is usable before it starts a gateway, and has no network of its own.
"""

from pathlib import Path

from edge_agent.config import Settings
from edge_agent.core.errors import ConfigError


def broker_password(settings: Settings) -> str:
    """Of the broker of the sensors; see `_first_line`."""
    mqtt = settings.config.mqtt
    return _first_line(mqtt.password_file if mqtt else "", "mqtt")


def plane_password(settings: Settings) -> str:
    """Of the broker of the control plane; see `_first_line`."""
    plane = settings.config.plane
    return _first_line(plane.password_file if plane else "", "plane")


def _first_line(file: str, section: str) -> str:
    """The first line of a file that only its owner should read; empty when none is configured.

    Raises ConfigError when the file cannot be read or holds none.
    """
    if not file:
        return ""
    where = f"{section}.password_file {file}"
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"cannot be read: {error}", where=where, fix="correct the path"
        ) from error
    if not lines or not lines[0]:
        raise ConfigError("is empty", where=where, fix="put the password on its first line")
    return lines[0]
