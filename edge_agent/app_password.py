"""The broker's password, the one secret of the program.

Owns: reading it from its file. Must not: keep it, print it, or import the gateway's room: `run`
asks whether the file is usable before it starts a gateway, and has no network of its own.
"""

from pathlib import Path

from edge_agent.config import Settings
from edge_agent.core.errors import ConfigError


def broker_password(settings: Settings) -> str:
    """The first line of a file that only its owner should read; empty when none is configured.

    Raises ConfigError when the file cannot be read or holds none.
    """
    file = settings.config.mqtt.password_file if settings.config.mqtt else ""
    if not file:
        return ""
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"cannot be read: {error}", where=f"mqtt.password_file {file}", fix="correct the path"
        ) from error
    if not lines or not lines[0]:
        raise ConfigError(
            "is empty", where=f"mqtt.password_file {file}", fix="put the password on its first line"
        )
    return lines[0]
