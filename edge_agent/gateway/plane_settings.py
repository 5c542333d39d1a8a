"""The `[plane]` section of the configuration: the control plane's broker and this device's id.

Owns: its shape and its checks. Must not: hold a secret; keys and passwords are files.
"""

from typing import Literal

import msgspec

from edge_agent.authority.topics import is_id
from edge_agent.core.errors import ConfigError


class PlaneSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[plane]` section. `id` is the device's own in the fleet. Without `keyring_file` the
    keyring is the systemd credential `keyring`. A `ca_file` makes it TLS; `cert_file` and
    `key_file` prove to the broker who this is."""

    id: str
    host: str = "127.0.0.1"
    port: int = 1883
    username: str = ""
    password_file: str = ""
    keyring_file: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    protocol: Literal["3.1.1", "5"] = "5"
    keepalive_s: int = 15


def check_plane(plane: PlaneSettings) -> None:
    """ConfigError for the first thing that cannot work."""
    if not is_id(plane.id):
        raise ConfigError(
            f"{plane.id!r} cannot be a device's id",
            where="plane.id",
            fix="1 to 64 of a-z, 0-9, '-' and '_', such as 'ahu-7'",
        )
    if not plane.host:
        raise ConfigError("is empty", where="plane.host", fix="name or address of the broker")
    for name, value, most in (("port", plane.port, 65535), ("keepalive_s", plane.keepalive_s, 600)):
        if not 1 <= value <= most:
            raise ConfigError(
                f"{value} is out of range", where=f"plane.{name}", fix=f"choose 1 to {most}"
            )
    if bool(plane.cert_file) != bool(plane.key_file) or (plane.cert_file and not plane.ca_file):
        raise ConfigError(
            "a certificate needs its key, and both need a ca_file",
            where="plane.cert_file",
            fix="set plane.ca_file, plane.cert_file and plane.key_file",
        )
    if plane.password_file and not plane.username:
        raise ConfigError(
            "a password needs a username", where="plane.username", fix="set plane.username"
        )
